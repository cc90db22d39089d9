"""What the pool tells the event log of its workers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rpw_fixture.events.kinds import WorkerNotReused, WorkerRetired, WorkerStarted
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.likeness import closest
from rpw_fixture.workers.worker import Worker

if TYPE_CHECKING:
    from rpw_fixture.workers.waiting import LeaseRequest


def started(worker: Worker, client: LeaseRequest) -> WorkerStarted:
    """Return the record of a worker that was started for a client."""
    key = worker.key
    return WorkerStarted(
        worker=worker.number,
        pid=worker.process.pid,
        mnemonic=client.mnemonic,
        target=client.target,
        key=key.digest,
        startup_arguments=key.startup_arguments,
        tool_inputs=key.tool_inputs.records(),
        key_components=key.components,
    )


def not_reused(
    alive: Sequence[Worker], key: WorkerKey, client: LeaseRequest
) -> WorkerNotReused | None:
    """Return the record of a client whom no live worker fits; None when one does, or none lives."""
    if not alive or any(worker.key.digest == key.digest for worker in alive):
        return None
    worker, told = closest(alive, key)
    return WorkerNotReused(
        action=client.action,
        operation=client.operation,
        mnemonic=client.mnemonic,
        target=client.target,
        key=key.digest,
        closest_worker=worker.number,
        differences=tuple(told),
    )


def retired(worker: Worker, reason: str) -> WorkerRetired:
    """Return the record of a worker that is gone."""
    return WorkerRetired(
        worker=worker.number,
        reason=reason,
        exit_status=worker.exit_status,
        stderr_tail=worker.stderr.text,
        requests=worker.requests,
    )
