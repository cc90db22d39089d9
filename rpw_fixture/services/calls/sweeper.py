"""One thread that looks at open calls a few times a second: at those that wait or have to end."""

from __future__ import annotations

import threading
import time

from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.thread_pool import ThreadStartError, start_thread

#: How often it looks, seconds.
INTERVAL = 0.25


class Swept:
    """Base of what is looked at."""

    __slots__ = ()

    def sweep(self, now: float) -> bool:
        """Do what is due at ``now`` (monotonic seconds) without blocking; False: look no more."""
        raise NotImplementedError


class Sweeper(Closeable):
    """Sweeps what was added until that says no; its thread runs from the first addition on."""

    def __init__(self) -> None:
        self._swept: set[Swept] = set()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None
        self._has_work = threading.Event()
        self._is_closed = threading.Event()

    def add(self, swept: Swept) -> None:
        """Look at ``swept`` from now on."""
        self._swept.add(swept)
        if not self._has_work.is_set():
            self._has_work.set()
            if self._thread is None:
                self._start()

    def discard(self, swept: Swept) -> None:
        """Look at ``swept`` no more."""
        self._swept.discard(swept)

    def snapshot(self) -> list[Swept]:
        """What is looked at now."""
        return list(self._swept)

    def close(self) -> None:
        """End the thread."""
        self._is_closed.set()
        self._has_work.set()
        if self._thread is not None:
            self._thread.join()
        self._swept.clear()  # a call that is kept keeps its connection open

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
            now = time.monotonic()
            for each in self.snapshot():
                if not each.sweep(now):
                    self._swept.discard(each)
            if not self._swept:
                self._has_work.clear()
                if self._swept or self._is_closed.is_set():  # added, or closed, in between
                    self._has_work.set()
