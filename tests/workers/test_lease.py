"""A lease alone: the worker goes back to its pool exactly once."""

from __future__ import annotations

from typing import cast

import pytest

from rpw_fixture.workers.lease import Lease
from rpw_fixture.workers.worker import Worker

WORKER = cast("Worker", object())


class Pool:
    """Stands for the pool."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def release(self, worker: Worker) -> None:
        assert worker is WORKER
        self.calls.append("release")

    def discard(self, worker: Worker, reason: str) -> None:
        assert worker is WORKER
        self.calls.append(reason)


def test_leaving_the_block_gives_the_worker_back() -> None:
    pool = Pool()
    with Lease(pool, WORKER, is_reused=True) as lease:
        assert lease.worker is WORKER
        assert lease.is_reused
        assert not pool.calls
    assert pool.calls == ["release"]


def test_an_exception_gives_the_worker_back_as_well() -> None:
    pool = Pool()
    with pytest.raises(ZeroDivisionError), Lease(pool, WORKER, is_reused=False):
        raise ZeroDivisionError
    assert pool.calls == ["release"]


def test_a_worker_that_is_discarded_is_not_given_back() -> None:
    pool = Pool()
    with Lease(pool, WORKER, is_reused=False) as lease:
        lease.discard("crash")
        lease.discard("crash again")
    assert pool.calls == ["crash"]
