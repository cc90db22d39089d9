"""What the server observes: one immutable record for each thing that happens.

The log that keeps them is in event_log.py. Assertions, reports and findings are pure functions of these
records; nothing here decides anything, and nothing else keeps a second account of what happened.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

#: Components of a worker key by name, in the order in which they are compared.
KeyComponents = tuple[tuple[str, object], ...]


class FileRecord(NamedTuple):
    """A path and the digest (``hash/size``) of what it holds."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all records.

    Attributes:
        event: the record's name, as in ``--events`` files.
        seq: position in the log, from 1, without gaps.
        time: seconds since the epoch.
    """

    event: ClassVar[str] = ""
    seq: int = field(init=False, default=0)
    time: float = field(init=False, default=0.0)

    def as_dict(self) -> dict[str, object]:
        """The record as one JSON-able object, ``seq``, ``time`` and ``event`` first."""
        values: dict[str, object] = {"seq": self.seq, "time": self.time, "event": self.event}
        for each in dataclasses.fields(self):
            if each.name not in values and each.metadata.get("json", True):
                values[each.name] = _jsonable(getattr(self, each.name))
        return values


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRouted(Event):
    """An action was sent one way, and why.

    Attributes:
        action: digest of the Action.
        operation: name of the operation, different for every execution of one action.
        mnemonic: as the client's RequestMetadata says, else empty; `target` and `invocation` too.
        mode: ``worker``, ``one-shot`` or ``cache``.
        reason: names the condition that decided.
        key: hex digest of the pool key, of an action that goes to a worker.
        key_components: the key's components.
    """

    event: ClassVar[str] = "action_routed"
    action: str
    operation: str
    mnemonic: str = ""
    target: str = ""
    invocation: str = ""
    mode: str
    reason: str
    key: str | None = None
    key_components: KeyComponents = field(default=(), repr=False, metadata={"json": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolDetected(Event):
    """Which protocol an action's worker speaks was found out while the action ran.

    Attributes:
        worker: the one that answered; None when another action found it out.
        protocol: ``proto`` or ``json``.
        key: hex digest of that worker's pool key, instead of the one in `ActionRouted`.
        detail: what became of the question in the other protocol.
        key_components: the key's components.
    """

    event: ClassVar[str] = "protocol_detected"
    action: str
    operation: str
    worker: int | None
    protocol: str
    key: str
    detail: str
    key_components: KeyComponents = field(default=(), repr=False, metadata={"json": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStarted(Event):
    """A worker process was started; ``mnemonic`` and ``target`` are of the action it is for."""

    event: ClassVar[str] = "worker_started"
    worker: int
    pid: int
    mnemonic: str = ""
    target: str = ""
    key: str
    startup_arguments: Sequence[str]
    tool_inputs: Sequence[FileRecord]
    key_components: KeyComponents = field(default=(), repr=False, metadata={"json": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNotReused(Event):
    """Workers are alive, but none fits the action's key; the closest one differs so.

    Attributes:
        mnemonic, target: of the action.
        closest_worker: the live worker with the fewest differences, of those with the same startup
            arguments if there are any.
        differences: each in words, such as ``tool input tools/lib.py: 3f2a… → 91bc…``.
    """

    event: ClassVar[str] = "worker_not_reused"
    action: str
    operation: str
    mnemonic: str = ""
    target: str = ""
    key: str
    closest_worker: int
    differences: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestSent(Event):
    """A WorkRequest is about to be written; ``inputs`` is how many inputs it lists."""

    event: ClassVar[str] = "request_sent"
    worker: int
    request_id: int
    action: str
    operation: str
    inputs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseReceived(Event):
    """The WorkResponse to a request arrived whole; ``seconds`` after it was sent."""

    event: ClassVar[str] = "response_received"
    worker: int
    request_id: int
    action: str
    operation: str
    exit_code: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancelled(Event):
    """Nobody waits for a request any more, and the worker can be used again.

    Attributes:
        reason: name of the status with which it ended: ``CANCELLED`` or ``DEADLINE_EXCEEDED``.
    """

    event: ClassVar[str] = "request_cancelled"
    worker: int
    request_id: int
    action: str
    operation: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsChanged(Event):
    """Inputs in a worker's folder were not as they had been placed, and were placed again.

    A worker, or an action before this one, changed, replaced or deleted them. What reaches the CAS
    are outputs only, so no blob is hurt.

    Attributes:
        action, operation: the next one, for which it was noticed.
        paths: relative to the input root.
    """

    event: ClassVar[str] = "inputs_changed"
    worker: int
    action: str
    operation: str
    paths: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRetried(Event):
    """An action whose worker ended is sent to another worker.

    Attributes:
        worker: the one that ended.
        reason: why another try is in order; only a worker that died with the request in its hands
            needs the setting ``retry_crashed_worker``.
    """

    event: ClassVar[str] = "action_retried"
    action: str
    operation: str
    worker: int
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRetired(Event):
    """A worker is gone.

    Attributes:
        reason: names what ended it (idle timeout, request budget, crash, timeout, violation…).
        exit_status: of the process; negative for the number of a signal, None when unknown.
        stderr_tail: the end of what it wrote to stderr.
        requests: how many it was sent in its life.
    """

    event: ClassVar[str] = "worker_retired"
    worker: int
    reason: str
    exit_status: int | None
    stderr_tail: str
    requests: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCompleted(Event):
    """An action ended, in whatever way.

    Attributes:
        mnemonic, target: as the client's RequestMetadata says, else empty.
        mode: ``worker``, ``one-shot`` or ``cache``.
        reason: names the condition that decided.
        worker: the worker it ran on, if any; ``reused`` when that worker had served before.
        exit_code: of the command, None when it never ended by itself.
        cached: the result came from the action cache.
        seconds: from acceptance to the reply.
        outputs: every output file, directories expanded.
        status: name of the ExecuteResponse's status; ``message`` its text.
    """

    event: ClassVar[str] = "action_completed"
    action: str
    operation: str
    mnemonic: str = ""
    target: str = ""
    mode: str
    reason: str = ""
    worker: int | None
    reused: bool
    exit_code: int | None
    cached: bool
    seconds: float
    outputs: Sequence[FileRecord]
    status: str = "OK"
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolViolation(Event):
    """A worker broke the worker protocol; ``rule`` names the rule, ``detail`` the evidence."""

    event: ClassVar[str] = "protocol_violation"
    worker: int
    rule: str
    detail: str
    operation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationDegraded(Event):
    """The machine does not permit the isolation that was wanted; processes get a weaker kind.

    Attributes:
        wanted, got: ``namespaces``, ``landlock`` or ``none``.
        reason: what is missing, for each kind that was tried.
    """

    event: ClassVar[str] = "isolation_degraded"
    wanted: str
    got: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStarted(Event):
    """A container was started; ``purpose`` tells for which worker or action."""

    event: ClassVar[str] = "container_started"
    container: str
    image: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsLost(Event):
    """Events are missing from the ``--events`` file, which could not be written: a full disk.

    Attributes:
        count: how many.
        first, last: `seq` of the first and of the last one.
    """

    event: ClassVar[str] = "events_lost"
    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobCorrupted(Event):
    """A blob's file did not hold what its digest names; the blob counts as missing now.

    Attributes:
        digest: of the blob.
        function: name of the digest function.
        path: the file, which was removed.
    """

    event: ClassVar[str] = "blob_corrupted"
    digest: str
    function: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalError(Event):
    """Code of this server raised: a bug of ours, never the client's."""

    event: ClassVar[str] = "internal_error"
    where: str
    detail: str


def _jsonable(value: object) -> object:
    if isinstance(value, FileRecord):
        return value._asdict()
    if isinstance(value, tuple | list):
        return [_jsonable(each) for each in value]
    return value
