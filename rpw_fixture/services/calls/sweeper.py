"""A thread that checks open calls a few times a second: whether a pause is over, or a call has to end."""

from __future__ import annotations

import threading
import time

from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.thread_pool import ThreadStartError, start_thread

#: Seconds between two checks.
INTERVAL = 0.25


class Swept:
    """The base class of objects that a sweeper checks."""

    __slots__ = ()

    def sweep(self, now: float) -> bool:
        """Do what is due at ``now`` (monotonic seconds), without blocking.

        Returns:
            Whether to check again.
        """
        raise NotImplementedError


class Sweeper(Closeable):
    """Checks each added object until its `Swept.sweep` returns False; the first one starts the thread."""

    def __init__(self) -> None:
        self._swept: set[Swept] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._has_work = threading.Event()
        self._is_closed = threading.Event()

    def add(self, swept: Swept) -> None:
        """Check ``swept`` from now on."""
        self._swept.add(swept)
        if not self._has_work.is_set():
            self._has_work.set()
            if self._thread is None:
                self._start()

    def discard(self, swept: Swept) -> None:
        """Stop checking ``swept``."""
        self._swept.discard(swept)

    def snapshot(self) -> list[Swept]:
        """Return the objects that are checked now."""
        return list(self._swept)

    def close(self) -> None:
        """End the thread."""
        self._is_closed.set()
        self._has_work.set()
        if self._thread is not None:
            self._thread.join()
        self._swept.clear()  # a call in the set would keep its connection open

    def _start(self) -> None:
        with self._lock:
            if self._thread is not None or self._is_closed.is_set():
                return
            thread = threading.Thread(target=self._run, name="rpw-sweeper", daemon=True)
            try:
                start_thread(thread)
            except ThreadStartError:
                self._has_work.clear()  # the next addition tries again
            else:
                self._thread = thread

    def _run(self) -> None:
        while self._has_work.wait() and not self._is_closed.wait(INTERVAL):
            self._sweep()
            if not self._swept:
                self._has_work.clear()
                if self._swept or self._is_closed.is_set():  # added or closed meanwhile
                    self._has_work.set()

    def _sweep(self) -> None:
        # Apart from the loop, whose variables would keep a call while there is nothing to sweep.
        now = time.monotonic()
        for each in self.snapshot():
            if not each.sweep(now):
                self._swept.discard(each)
