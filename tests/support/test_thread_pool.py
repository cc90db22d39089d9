"""The pool of threads."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import Future

import pytest

from rpw_fixture.support.thread_pool import ThreadPool


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
