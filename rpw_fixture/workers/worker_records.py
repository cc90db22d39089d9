"""Records of the event log about the workers of a pool."""

from __future__ import annotations

from collections.abc import Sequence

from rpw_fixture.events.actions import ActionIdentity
from rpw_fixture.events.kinds import WorkerNotReused, WorkerRetired, WorkerStarted
from rpw_fixture.workers.likeness import closest
from rpw_fixture.workers.waiting import LeaseRequest
from rpw_fixture.workers.worker import Worker


def started(worker: Worker, identity: ActionIdentity) -> WorkerStarted:
    """Return the record of a worker that was started for an action."""
    key = worker.key
    return WorkerStarted(
        worker=worker.number,
        pid=worker.process.pid,
        mnemonic=identity.mnemonic,
        target=identity.target,
        key=key.digest,
        startup_arguments=key.startup_arguments,
        tool_inputs=key.tool_inputs.records(),
        key_components=key.components,
    )


def not_reused(alive: Sequence[Worker], request: LeaseRequest) -> WorkerNotReused | None:
    """Return the record of an action that no live worker fits; None when one does, or none lives."""
    key, identity = request.key, request.identity
    if not alive or any(worker.key.digest == key.digest for worker in alive):
        return None
    worker, found = closest(alive, key)
    return WorkerNotReused(
        action=identity.digest,
        operation=identity.operation,
        mnemonic=identity.mnemonic,
        target=identity.target,
        key=key.digest,
        closest_worker=worker.number,
        differences=tuple(found),
    )


def retired(worker: Worker, reason: str) -> WorkerRetired:
    """Return the record of a worker that is gone."""
    return WorkerRetired(
        worker=worker.number,
        reason=reason,
        exit_status=worker.exit_status,
        stderr_tail=worker.stderr.text,
        requests=worker.requests,
        seconds=worker.age,
        peak_bytes=worker.peak_bytes,
    )
