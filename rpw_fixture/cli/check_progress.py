"""A live line on a terminal's stderr while ``check`` runs, and findings above it as they come."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, TextIO

from rpw_fixture.support.closing import Closeable

if TYPE_CHECKING:
    from rpw_fixture.hermeticity.findings.finding import Finding
    from rpw_fixture.hermeticity.progress import Progress, ProgressTracker

#: Seconds between two updates of the line.
_REFRESH = 0.2
_BAR = 20
_CLEAR = "\r\033[K"


@contextlib.contextmanager
def shown(stream: TextIO) -> Iterator[ProgressTracker | None]:
    """Follow a run with the line if the stream, which is stderr, is a terminal."""
    if not stream.isatty():
        yield None
        return
    with ProgressLine() as shown_line:
        yield shown_line.tracker


class ProgressLine(Closeable):
    """The line; it is drawn until it is closed."""

    def __init__(self) -> None:
        from rpw_fixture.hermeticity.progress import ProgressTracker  # noqa: PLC0415 - heavy

        self.tracker = ProgressTracker(self._show)
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._draw_often, name="rpw-progress", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Remove the line."""
        self._ended.set()
        self._thread.join()
        self._write(_CLEAR)

    def _draw_often(self) -> None:
        while not self._ended.wait(_REFRESH):
            self._write(_CLEAR + line(self.tracker.now(), shutil.get_terminal_size().columns))

    def _show(self, finding: Finding) -> None:
        from rpw_fixture.hermeticity.findings.headline import headline  # noqa: PLC0415 - loaded by now
        from rpw_fixture.hermeticity.findings.text import is_coloured, painted  # noqa: PLC0415

        text = headline(finding)
        if is_coloured(sys.stderr, os.environ):
            text = painted(text, finding.severity)
        self._write(f"{_CLEAR}{text}\n")

    def _write(self, text: str) -> None:
        with self._lock:
            sys.stderr.write(text)
            sys.stderr.flush()


def line(progress: Progress, columns: int) -> str:
    """Return the line for a state of the run, at most one column less than ``columns``."""
    filled = round(progress.share * _BAR)
    left = "" if progress.seconds_left is None else f", {_duration(progress.seconds_left)} left"
    text = f"[{'#' * filled}{'.' * (_BAR - filled)}] {progress.share:4.0%}{left}  {progress.phase}"
    counts = [(progress.worker_starts, "start")]
    if progress.findings:
        counts.insert(0, (progress.findings, "finding"))
    more = ", ".join(f"{number} {noun}{'s' * (number != 1)}" for number, noun in counts)
    return f"{text}  ({more})"[: max(0, columns - 1)]


def _duration(seconds: float) -> str:
    whole = max(1, round(seconds))
    return f"{whole} s" if whole < 100 else f"{round(whole / 60)} min"
