"""Signals that ask a process to stop: the first one is a request, the second one ends it at once.

Python runs signal handlers in the main thread. If another thread gets the signal, or if it comes just
before the main thread begins to wait for a lock, the handler runs only after that wait, which may never
end. So the number of each signal is written to a pipe (`signal.set_wakeup_fd`), and read by a thread.
"""

from __future__ import annotations

import os
import signal
import threading
from types import FrameType

from rpw_fixture.cli import exit_codes
from rpw_fixture.support.closing import Closeable

SIGNALS = (signal.SIGTERM, signal.SIGINT)
#: Written to the pipe by `close`; signals have numbers from 1 on.
_END = b"\0"


class StopSignals(Closeable):
    """Catches SIGTERM and SIGINT until it is closed. Made in the main thread only.

    The spawner notices when the second signal ends this process, and kills what is left.

    Attributes:
        signals: what is caught.
        stopping: set by the first signal.
    """

    signals: tuple[signal.Signals, ...] = SIGNALS

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._writing, False)
        self._handlers = {number: signal.signal(number, self.handle) for number in self.signals}
        self._wakeup_fd = signal.set_wakeup_fd(self._writing, warn_on_full_buffer=False)
        self._thread = threading.Thread(target=self._read, name="rpw-signals", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Handle signals as before."""
        signal.set_wakeup_fd(self._wakeup_fd)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)
        os.write(self._writing, _END)
        self._thread.join()
        os.close(self._writing)
        os.close(self._reading)

    def handle(self, _number: int, _frame: FrameType | None) -> None:
        """Handle a signal in the main thread: do nothing, because the pipe has the number already.

        Without a handler nothing would be written to the pipe.
        """

    def stop(self, _number: int) -> None:
        """Act on the first signal, in the thread that reads the pipe."""
        self.stopping.set()

    def end(self, _number: int) -> None:
        """Act on the second signal: end the process."""
        os._exit(exit_codes.AT_ONCE)

    def _read(self) -> None:
        while (number := os.read(self._reading, 1)) != _END:
            if number[0] not in self.signals:
                continue
            if self.stopping.is_set():
                self.end(number[0])
            self.stop(number[0])
