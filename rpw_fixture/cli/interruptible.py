"""Makes a subcommand interruptible: Ctrl-C and SIGTERM raise in it, so that it cleans up.

It is for subcommands that end by themselves; `serve` waits for `StopSignals.stopping`.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from rpw_fixture.cli import exit_codes
from rpw_fixture.cli.stop_signals import StopSignals
from rpw_fixture.errors import Interrupted

#: A signal that ends a system call of the main thread and means nothing else.
_NUDGE = signal.SIGURG
#: Seconds between two nudges.
_PAUSE = 0.02


@contextmanager
def interruptible() -> Iterator[None]:
    """Raise `Interrupted` in the main thread at the first signal; end the process at the second."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    with _RaisingSignals():
        yield


class _RaisingSignals(StopSignals):
    """Raises in the main thread, and wakes it up for that: it may wait without noticing a signal."""

    def __init__(self) -> None:
        self._is_handled = threading.Event()
        self._is_closing = False
        self._main = threading.get_ident()
        self._nudge_handler = signal.signal(_NUDGE, _ignore)
        super().__init__()

    def close(self) -> None:
        """Handle signals as before."""
        self._is_closing = True
        self._is_handled.set()
        super().close()
        signal.signal(_NUDGE, self._nudge_handler)

    def handle(self, number: int, _frame: FrameType | None) -> None:
        """Raise once.

        Raises:
            Interrupted: names the signal.
        """
        if self._is_closing or self._is_handled.is_set():
            return
        self._is_handled.set()
        raise Interrupted(signal.Signals(number).name, exit_codes.SIGNAL + number)

    def stop(self, number: int) -> None:
        """Interrupt what the main thread waits for until it has handled the signal."""
        super().stop(number)
        threading.Thread(target=self._nudge, name="rpw-nudge", daemon=True).start()

    def end(self, number: int) -> None:
        """End the process."""
        os._exit(exit_codes.SIGNAL + number)

    def _nudge(self) -> None:
        while not self._is_handled.is_set():
            signal.pthread_kill(self._main, _NUDGE)
            self._is_handled.wait(_PAUSE)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing; a handler is needed for the signal to end a system call."""
