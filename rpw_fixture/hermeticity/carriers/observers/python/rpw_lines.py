"""The line that changes a place, found by tracing the tool while it works on one request."""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rpw_fixture.hermeticity.carriers.observers.python import rpw_text

#: Seconds of processor time for tracing, together with the tool's own work.
_SECONDS = 2.0
_MOST_ENTRIES = 500


class ChangingLines:
    """The lines after which places have another content.

    Args:
        state: the state at the mark.
        wanted: ids of the places.
    """

    def __init__(self, state: Any, wanted: list[str]) -> None:
        self._names = state.names
        self._watched = state.changes_of(set(wanted))
        self._seen = {name: _look(change) for name, change in self._watched.items()}
        self._found: dict[str, str] = {}
        self._last: dict[str, tuple[str, int]] = {}
        self._position: tuple[str, int] | None = None
        self._deadline = 0.0

    def begin(self) -> None:
        """Trace this thread, with the functions that run already."""
        if sys.gettrace() is not None or not self._watched:
            return
        self._deadline = time.thread_time() + _SECONDS
        frame: Any = sys._getframe()
        while frame is not None:
            if self._names.is_inside(frame.f_code.co_filename):
                frame.f_trace = self._trace
            frame = frame.f_back
        threading = sys.modules.get("threading")
        if threading is not None:
            threading.settrace(self._trace)
        sys.settrace(self._trace)

    def end(self) -> dict[str, str]:
        """Stop tracing; return the line that changed each place, by id."""
        self._compare()
        self._stop()
        return {
            name: f"{self._names.relative(file)}:{line}"
            for name, (file, line) in self._last.items()
        }

    def _trace(self, frame: Any, event: str, _argument: Any) -> Any:
        try:
            if not self._names.is_inside(frame.f_code.co_filename):
                return None
            self._compare()
            if event in {"line", "call"}:
                self._position = (frame.f_code.co_filename, frame.f_lineno)
            elif event == "return":
                caller = frame.f_back
                while caller is not None and not self._names.is_inside(caller.f_code.co_filename):
                    caller = caller.f_back
                if caller is not None:
                    self._position = (caller.f_code.co_filename, caller.f_lineno)
            if time.thread_time() > self._deadline:
                self._stop()
                return None
        except BaseException:
            return None
        return self._trace

    def _compare(self) -> None:
        for name, change in self._watched.items():
            now = _look(change)
            if now != self._seen[name]:
                self._seen[name] = now
                if self._position is not None:
                    self._last[name] = self._position

    def _stop(self) -> None:
        sys.settrace(None)
        threading = sys.modules.get("threading")
        if threading is not None:
            threading.settrace(None)


def _look(change: Any) -> Any:
    """Return a value that differs when the place has another content."""
    contents = change.node.contents
    try:
        if change.key is not None:
            value = contents.read().get(change.key, contents)
            return value if rpw_text.is_plain(value) else id(value)
        if not hasattr(contents, "is_dict"):
            return contents.is_changed()
        size = len(contents.value)
        if size > _MOST_ENTRIES:
            return size
        items = rpw_text.entries(contents.value)
        return [
            (each if rpw_text.is_plain(each) else id(each))
            for pair in items
            for each in (pair if contents.is_dict else (pair,))
        ]
    except Exception:
        return None
