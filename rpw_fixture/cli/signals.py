"""End a subcommand early: Ctrl-C and SIGTERM raise, so that it cleans up what it started and wrote.

For commands that end by themselves; `serve` handles its signals itself.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
#: A shell reports a process that a signal ended with this plus the signal's number.
_SHELL = 128


class Interrupted(KeyboardInterrupt):
    """The user or the system ended the command with a signal."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = _SHELL + number


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` in the main thread at the first signal; end the process at the second."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.signal(number, _raise) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _raise(number: int, _frame: FrameType | None) -> NoReturn:
    for each in _SIGNALS:
        signal.signal(each, _end)
    raise Interrupted(number)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(_SHELL + number)
