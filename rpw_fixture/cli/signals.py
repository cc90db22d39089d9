"""Ending a subcommand early: Ctrl-C and SIGTERM unwind it, so that what it started and wrote goes.

`serve` has signals of its own; this is for commands that end by themselves.
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
#: What shells add to a signal's number for the exit code of what it ended.
_SHELL = 128


class Interrupted(KeyboardInterrupt):
    """A signal asks for the end; ``number`` says which one."""

    def __init__(self, number: int) -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}")
        self.exit_code = _SHELL + number


@contextmanager
def interruptible() -> Iterator[None]:
    """The first signal raises `Interrupted` in the main thread; a second one ends the process."""
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
