"""A pool of threads that grows when all are busy, and only then.

`ThreadPoolExecutor` of Python 3.12 and 3.13 loses count of its idle threads when a busy one takes the
next piece of work itself, so under steady load it starts thread after thread up to its limit.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import ParamSpec, TypeVar

_P = ParamSpec("_P")
_T = TypeVar("_T")


class ThreadPool(Executor):
    """Runs calls in threads.

    Args:
        most: how many threads at most; calls beyond that wait their turn.
        name: what the threads' names begin with.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._changed = threading.Condition()
        self._waiting: deque[Callable[[], None]] = deque()
        self._threads: list[threading.Thread] = []
        self._idle = 0
        self._is_closed = False

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """See `concurrent.futures.Executor.submit`."""
        future: Future[_T] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    result = fn(*args, **kwargs)
                except BaseException as error:  # noqa: BLE001 - whoever has the future is told
                    future.set_exception(error)
                else:
                    future.set_result(result)

        with self._changed:
            if self._is_closed:
                raise RuntimeError("the pool was shut down")
            self._waiting.append(work)
            # A thread that was woken counts as idle until it runs, as its work counts as waiting.
            if self._idle >= len(self._waiting):
                self._changed.notify()
            elif len(self._threads) < self._most:
                self._start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor.shutdown`; what waits is done first, unless dropped."""
        with self._changed:
            self._is_closed = True
            if cancel_futures:
                self._waiting.clear()  # their futures are never asked again
            self._changed.notify_all()
        if wait:
            for thread in self._threads:
                thread.join()

    def _start(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._waiting:
                    if self._is_closed:
                        return
                    self._idle += 1
                    self._changed.wait()
                    self._idle -= 1
                work = self._waiting.popleft()
            work()
            del work  # what it holds must not live until the next call comes
