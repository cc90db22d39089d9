"""A pool of threads that grows when all are busy, and only then.

`ThreadPoolExecutor` of Python 3.12 and 3.13 loses count of its idle threads when a busy one takes the
next piece of work itself, so under steady load it starts thread after thread up to its limit.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
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
        self._lock = threading.Lock()
        #: What is to be done; None ends the thread that gets it.
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        #: Threads without work, less the work without a thread.
        self._spare = 0
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

        self.start(work)
        return future

    def start(self, work: Callable[[], None]) -> None:
        """Has ``work``, which must not raise, done by some thread; nobody is told of its end.

        Raises:
            RuntimeError: after `shutdown`.
        """
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the pool was shut down")
            self._spare -= 1
            if self._spare < 0 and len(self._threads) < self._most:
                self._spare += 1
                self._grow()
        self._waiting.put(work)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor.shutdown`; what waits is done first, unless dropped."""
        with self._lock:
            is_first, self._is_closed = not self._is_closed, True
        if cancel_futures:
            self._drop_waiting()
        for _ in self._threads if is_first else ():
            self._waiting.put(None)
        if wait:
            for thread in self._threads:
                thread.join()

    def _drop_waiting(self) -> None:
        """Forgets what nobody does yet; the futures of it are never asked again."""
        dropped: list[Callable[[], None] | None] = []
        try:
            while True:
                dropped.append(self._waiting.get_nowait())
        except Empty:
            for _ in range(dropped.count(None)):
                self._waiting.put(None)

    def _grow(self) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            work()
            del work  # what it holds must not live until the next call comes
            with self._lock:
                self._spare += 1
