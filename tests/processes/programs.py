"""Processes with their output at hand, and programs for them that are hard to get rid of.

Every member of a tree holds the write end of its output pipe.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path
from typing import Any

from rpw_fixture.processes.spawner import Exit, Process, Spawner
from tests.watched_process import WatchedProcess, readable

PYTHON = [sys.executable, "-I", "-S", "-c"]

# A daemon by the book: its own session, its parent gone, every signal but SIGKILL ignored.
DAEMON = """
import os, signal
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            try:
                signal.signal(number, signal.SIG_IGN)
            except OSError:
                pass
        os.write(1, b"daemon\\n")
        os.write(tell, b".")
        while True:
            signal.pause()
    os._exit(0)
os.wait()
os.read(ready, 1)
"""

# 300 processes that each replace themselves by a fork again and again, some in a new session.
BOMB = """
import os, signal, time
waiting, go = os.pipe()
for number in range(300):
    if os.fork() == 0:
        os.close(go)
        os.read(waiting, 1)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            os.write(1, b".")
            if os.fork():
                os._exit(0)
            if number % 3 == 0:
                os.setsid()
        os._exit(0)
os.close(go)
"""


class Running(WatchedProcess):
    """What a spawner starts."""

    def __init__(self, spawner: Spawner, argv: list[str], **options: Any) -> None:
        defaults: dict[str, Any] = {"env": {}, "cwd": "/", "executable": argv[0]}

        def start(stdin: int, output: int) -> Process:
            given = {"stderr": output, **defaults, **options}
            return spawner.spawn(argv=argv, stdin=stdin, stdout=output, **given)

        super().__init__(start)


def await_end(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert readable(descriptor), f"{pid} is still alive"
        finally:
            os.close(descriptor)


def run(spawner: Spawner, argv: list[str], **options: Any) -> tuple[bytes, Exit]:
    with Running(spawner, argv, **options) as running:
        return running.read_all(), running.ended()


def open_descriptors(pid: int | str | None = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
