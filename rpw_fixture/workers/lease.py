"""Leases: the pool lends a worker to one action."""

from __future__ import annotations

from typing import Protocol, Self

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.workers.worker import Worker


class PoolFullError(RequestError):
    """No worker is free, none may be started, and actions do not wait.

    Attributes:
        is_one_shot: whether the action should run without a worker instead of failing.
    """

    def __init__(self, message: str, *, is_one_shot: bool) -> None:
        super().__init__(Code.RESOURCE_EXHAUSTED, message)
        self.is_one_shot = is_one_shot


class Lender(Protocol):
    """The pool, as a lease sees it."""

    def release(self, worker: Worker) -> None:
        """Take back a worker that can be used again."""

    def discard(self, worker: Worker, reason: str) -> None:
        """End a worker."""


class Lease:
    """The right to send one request to a worker; leaving the ``with`` block gives the worker back.

    Args:
        lender: gets the worker back.
        worker: the worker.
        is_reused: whether the worker was started for an earlier action.
    """

    __slots__ = ("_is_over", "_lender", "is_reused", "worker")

    def __init__(self, lender: Lender, worker: Worker, *, is_reused: bool) -> None:
        self.worker = worker
        self.is_reused = is_reused
        self._lender = lender
        self._is_over = False

    def discard(self, reason: str) -> None:
        """End the worker instead of giving it back; see `WorkerPool.discard`."""
        if not self._is_over:
            self._is_over = True
            self._lender.discard(self.worker, reason)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_over:
            self._is_over = True
            self._lender.release(self.worker)
