"""The pool of threads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from functools import partial

import pytest

from rpw_fixture.support.thread_pool import ThreadPool, ThreadStartError, start_thread


@pytest.fixture
def pool() -> Iterator[ThreadPool]:
    pool = ThreadPool(3, "test-pool")
    yield pool
    pool.shutdown()


def threads_of_the_pool() -> int:
    return sum(each.name.startswith("test-pool") for each in threading.enumerate())


def test_results_and_errors_come_back(pool: ThreadPool) -> None:
    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)
    with pytest.raises(ZeroDivisionError):
        pool.submit(divmod, 1, 0).result(10)


def test_calls_one_after_the_other_need_few_threads(pool: ThreadPool) -> None:
    """A call may come before the thread that did the last one is idle again, but no oftener."""
    for number in range(1000):
        assert pool.submit(int, number).result(10) == number
    assert threads_of_the_pool() <= 2


def test_it_grows_to_its_limit_and_no_further(pool: ThreadPool) -> None:
    started, go_on = threading.Semaphore(0), threading.Event()

    def work(number: int) -> int:
        started.release()
        assert go_on.wait(10)
        return number

    futures: list[Future[int]] = [pool.submit(work, number) for number in range(10)]
    for _ in range(3):
        assert started.acquire(timeout=10)
    assert not started.acquire(blocking=False)
    assert threads_of_the_pool() == 3
    go_on.set()
    assert [future.result(10) for future in futures] == list(range(10))


def test_shutting_down_finishes_what_waits_and_takes_no_more(pool: ThreadPool) -> None:
    futures = [pool.submit(pow, 2, number) for number in range(50)]
    pool.shutdown()
    assert [future.result(0) for future in futures] == [2**number for number in range(50)]
    assert threads_of_the_pool() == 0
    with pytest.raises(RuntimeError, match="shut down"):
        pool.submit(int)


def test_an_error_that_no_future_takes_is_logged_and_the_thread_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    pool = ThreadPool(1, "test-pool")
    pool.start(partial({}.pop, "absent"))
    assert pool.submit(int, 7).result(10) == 7
    pool.shutdown()
    assert caplog.messages == ["a bug: a call in the threads test-pool failed"]


def test_calls_that_wait_can_be_dropped_and_the_threads_still_end() -> None:
    pool = ThreadPool(1, "test-pool")
    began, go_on = threading.Event(), threading.Event()
    first = pool.submit(lambda: began.set() or go_on.wait(10))
    waiting = pool.submit(int, 1)
    assert began.wait(10)
    assert (pool.busy, pool.backlog) == (2, 1)
    pool.shutdown(wait=False)
    pool.shutdown(wait=False, cancel_futures=True)
    go_on.set()
    pool.shutdown()
    assert first.result(0) is True
    assert not waiting.done()
    assert threads_of_the_pool() == 0


@pytest.mark.parametrize("error", [RuntimeError, MemoryError])
def test_a_pool_that_gets_no_thread_says_so_and_may_get_one_later(
    error: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    pool = ThreadPool(2, "test-pool")
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _failing(error))
        for start in (pool.start, pool.start_or_wait):
            with pytest.raises(ThreadStartError, match="no thread can be started"):
                start(lambda: None)
    assert (pool.busy, pool.backlog) == (0, 0)
    began, go_on, done = threading.Event(), threading.Event(), threading.Event()
    pool.submit(lambda: began.set() or go_on.wait(10))
    assert began.wait(10)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", _failing(error))
        with pytest.raises(ThreadStartError):
            pool.start(lambda: None)
        pool.start_or_wait(done.set)
    assert not done.is_set()
    go_on.set()
    assert done.wait(10)
    pool.shutdown()


def test_a_thread_that_runs_already_is_a_bug_and_no_lack() -> None:
    with pytest.raises(RuntimeError, match="threads can only be started once"):
        start_thread(threading.current_thread())


def _failing(error: type[Exception]) -> Callable[[threading.Thread], None]:
    def start(_: threading.Thread) -> None:
        raise error

    return start
