"""A pool of threads that grows only when all are busy.

`ThreadPoolExecutor` of Python 3.12 and 3.13 loses count of its idle threads when a busy one takes the
next piece of work itself, so under steady load it starts thread after thread up to its limit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Executor, Future
from queue import Empty, SimpleQueue
from typing import ParamSpec, TypeVar

from rpw_fixture.errors import Code, RequestError

_P = ParamSpec("_P")
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class ThreadStartError(RequestError):
    """A failed start of a thread: a limit of processes, or memory, is reached."""

    def __init__(self) -> None:
        super().__init__(
            Code.RESOURCE_EXHAUSTED,
            "no thread can be started: the limit of processes (ulimit -u, pids.max of the container) "
            "or memory is used up; try again when other work has ended, or raise the limit",
        )


def start_thread(thread: threading.Thread) -> None:
    """Start a thread.

    Raises:
        ThreadStartError: when the system can't start another thread.
    """
    try:
        thread.start()
    except (RuntimeError, MemoryError) as error:
        if thread.ident is not None:  # it runs already: a bug of the caller
            raise
        raise ThreadStartError from error


class ThreadPool(Executor):
    """An executor that runs calls in threads.

    Args:
        most: the most threads; further calls wait.
        name: prefix of the threads' names.
    """

    def __init__(self, most: int, name: str) -> None:
        self._most = most
        self._name = name
        self._lock = threading.Lock()
        #: Calls that wait for a thread; None ends the thread that gets it.
        self._waiting: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        #: Number of idle threads minus the number of calls that wait for a thread.
        self._spare = 0
        self._is_closed = False

    def submit(self, fn: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Future[_T]:
        """See `concurrent.futures.Executor.submit`."""
        future: Future[_T] = Future()

        def work() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    result = fn(*args, **kwargs)
                except BaseException as error:  # noqa: BLE001 - the future raises it
                    future.set_exception(error)
                else:
                    future.set_result(result)

        self.start(work)
        return future

    def start(self, work: Callable[[], None]) -> None:
        """Run ``work``, which must not raise, in a thread, without a future.

        It waits only when the pool has its largest number of threads.

        Raises:
            ThreadStartError: when all threads are busy and another one can't be started.
            RuntimeError: after `shutdown`.
        """
        self._put(work, must_grow=True)

    def start_or_wait(self, work: Callable[[], None]) -> None:
        """Do the same as `start`, but wait for a busy thread if another one can't be started.

        Raises:
            ThreadStartError: when there is no thread at all.
            RuntimeError: after `shutdown`.
        """
        self._put(work, must_grow=False)

    @property
    def busy(self) -> int:
        """Number of calls that run or wait."""
        return len(self._threads) - self._spare

    @property
    def backlog(self) -> int:
        """Number of calls that wait for a thread."""
        return max(0, -self._spare)

    def _put(self, work: Callable[[], None], *, must_grow: bool) -> None:
        with self._lock:
            if self._is_closed:
                raise RuntimeError("the pool was shut down")
            if self._spare <= 0 and len(self._threads) < self._most:
                self._grow(must_grow=must_grow)
            self._spare -= 1
        self._waiting.put(work)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """See `concurrent.futures.Executor.shutdown`; waiting calls run first, unless dropped."""
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
        """Drop calls that have not begun; their futures never complete."""
        dropped: list[Callable[[], None] | None] = []
        try:
            while True:
                dropped.append(self._waiting.get_nowait())
        except Empty:
            for _ in range(dropped.count(None)):
                self._waiting.put(None)

    def _grow(self, *, must_grow: bool) -> None:
        name = f"{self._name}-{len(self._threads)}"
        thread = threading.Thread(target=self._run, name=name, daemon=True)
        try:
            start_thread(thread)
        except ThreadStartError:
            if must_grow or not self._threads:
                raise
        else:
            self._threads.append(thread)
            self._spare += 1

    def _run(self) -> None:
        while (work := self._waiting.get()) is not None:
            try:
                work()
            except Exception:  # noqa: BLE001 - it is logged, and the thread goes on
                _log.exception("a bug: a call in the threads %s failed", self._name)
            del work  # the objects that it holds must not live until the next call
            with self._lock:
                self._spare += 1
