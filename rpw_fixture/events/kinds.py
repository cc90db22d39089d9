"""Kinds of events: one immutable record for each observation of the server.

The log that keeps them is in log.py. Assertions, reports and findings are pure functions of these
records; nothing here makes decisions, and no other bookkeeping exists.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, NamedTuple

#: Components of a worker key by name, in the order in which they are compared.
KeyComponents = tuple[tuple[str, object], ...]
#: Memory that a record takes, about, and each value in it that is not a part of the record itself.
_RECORD_BYTES, _VALUE_BYTES = 250, 250


class FileRecord(NamedTuple):
    """A path and the digest (``hash/size``) of its content."""

    path: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """The base of all records.

    Attributes:
        event: name of the kind, as in ``--events`` files.
        seq: position in the log, from 1, without gaps.
        time: seconds since the epoch.
    """

    event: ClassVar[str] = ""
    seq: int = field(init=False, default=0)
    time: float = field(init=False, default=0.0)

    def as_dict(self) -> dict[str, object]:
        """Return the record as one object for JSON, ``seq``, ``time`` and ``event`` first."""
        values: dict[str, object] = {"seq": self.seq, "time": self.time, "event": self.event}
        for each in dataclasses.fields(self):
            if each.name not in values and each.metadata.get("json", True):
                values[each.name] = _jsonable(getattr(self, each.name))
        return values

    def held_bytes(self) -> int:
        """Return how much memory the record takes, about; kinds of which there are many say it faster."""
        fields = (each for each in dataclasses.fields(self) if each.metadata.get("json", True))
        return _RECORD_BYTES + sum(_held_by(getattr(self, each.name)) for each in fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerStarted(Event):
    """A server with an ``--events`` file began to listen; the first record of a run in the file.

    Attributes:
        version: version of rpw_fixture.
        pid: process of the server.
        endpoint: its address, as clients take it.
        configuration: value of each setting, by the name in `Config`.
    """

    event: ClassVar[str] = "server_started"
    version: str
    pid: int
    endpoint: str
    configuration: Mapping[str, object]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRouted(Event):
    """An action was routed: where to, and why.

    Attributes:
        action: digest of the Action.
        operation: name of the operation, different for every execution of one action.
        mnemonic, target, invocation: from the client's RequestMetadata, else empty.
        mode: ``worker``, ``one-shot`` or ``cache``.
        reason: the condition that decided.
        key: hex digest of the pool key, if the action goes to a worker.
        key_components: components of the pool key.
        asks_for_worker: it has a property that asks for a worker.
        tool_inputs: number of its tool inputs.
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
    asks_for_worker: bool = False
    tool_inputs: int = 0

    def held_bytes(self) -> int:
        """See `Event.held_bytes`; the names of the action, which its other records share, are here."""
        return _RECORD_BYTES + _VALUE_BYTES + len(self.target) + len(self.invocation)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolDetected(Event):
    """The protocol of an action's worker was determined while the action ran.

    Attributes:
        worker: the worker that answered; None when another action determined the protocol.
        protocol: ``proto`` or ``json``.
        key: hex digest of that worker's pool key, instead of the one in `ActionRouted`.
        detail: outcome of the trial in the other protocol.
        key_components: components of the pool key.
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
    """A worker process was started.

    Attributes:
        mnemonic, target: mnemonic and target of its first action.
        startup_arguments, tool_inputs: what started it, and the files of the tool.
        key_parts: the rest of the pool key as texts by name, such as ``cache-silo-key``; parts without
            a value are left out.
    """

    event: ClassVar[str] = "worker_started"
    worker: int
    pid: int
    mnemonic: str = ""
    target: str = ""
    key: str
    startup_arguments: Sequence[str]
    tool_inputs: Sequence[FileRecord]
    key_parts: Mapping[str, str] = field(default_factory=dict)
    key_components: KeyComponents = field(default=(), repr=False, metadata={"json": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNotReused(Event):
    """Workers are alive, but none fits the action's key; lists how the closest one differs.

    Attributes:
        mnemonic, target: mnemonic and target of the action.
        closest_worker: the live worker with the fewest differences, of those with the same startup
            arguments if there are any.
        differences: a text each, such as ``tool input tools/lib.py: 3f2a… → 91bc…``.
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
    """A WorkRequest is about to be written; ``inputs`` is the number of inputs that it lists."""

    event: ClassVar[str] = "request_sent"
    worker: int
    request_id: int
    action: str
    operation: str
    inputs: int

    def held_bytes(self) -> int:
        """See `Event.held_bytes`."""
        return _RECORD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseReceived(Event):
    """The whole WorkResponse to a request arrived, ``seconds`` after the request was sent."""

    event: ClassVar[str] = "response_received"
    worker: int
    request_id: int
    action: str
    operation: str
    exit_code: int
    seconds: float

    def held_bytes(self) -> int:
        """See `Event.held_bytes`."""
        return _RECORD_BYTES


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestCancelled(Event):
    """A request was cancelled, and its worker can be used again.

    Attributes:
        reason: name of the status of the request: ``CANCELLED`` or ``DEADLINE_EXCEEDED``.
    """

    event: ClassVar[str] = "request_cancelled"
    worker: int
    request_id: int
    action: str
    operation: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InputsChanged(Event):
    """Inputs in a worker's folder had been changed since they were placed, and were placed again.

    A worker, or an earlier action, changed, replaced or deleted them. Only outputs reach the CAS, so
    no blob is affected.

    Attributes:
        action, operation: the next action, whose staging noticed the change.
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
        worker: the worker that ended.
        reason: why the action is retried; the setting ``retry_crashed_worker`` is needed only when
            the worker died while it worked on the request.
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
        reason: why it ended (idle timeout, request budget, crash, timeout, violation…).
        exit_status: exit status of the process; minus the number of a signal, None when unknown.
        stderr_tail: the end of what it wrote to stderr.
        requests: number of requests that it was sent.
        seconds: from its start to its end.
        peak_bytes: its largest resident set, as far as it is known, else 0.
    """

    event: ClassVar[str] = "worker_retired"
    worker: int
    reason: str
    exit_status: int | None
    stderr_tail: str
    requests: int
    seconds: float = 0.0
    peak_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCompleted(Event):
    """An action ended, successfully or not.

    Attributes:
        mnemonic, target: from the client's RequestMetadata, else empty.
        mode: ``worker``, ``one-shot`` or ``cache``.
        reason: the condition that decided.
        worker: the worker that it ran on, if any.
        reused: the worker had served another action before.
        exit_code: exit code of the command, None when it did not end by itself.
        cached: the result came from the action cache.
        seconds: how long its execution took, without the time in the queue.
        phases: when each phase ended, in seconds since the action was sent: ``queued`` (it waited for
            its turn and for a worker, starting one included), ``staged`` (inputs placed), ``executed``,
            ``collected`` (outputs stored) and ``replied``. A phase that was skipped ended with the
            one before.
        outputs: every output file, directories expanded.
        status: name of the ExecuteResponse's status.
        message: message of that status.
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
    phases: Mapping[str, float] = field(default_factory=dict)

    def held_bytes(self) -> int:
        """See `Event.held_bytes`."""
        return _RECORD_BYTES + _VALUE_BYTES * (1 + len(self.outputs)) + len(self.message)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolViolation(Event):
    """A worker broke the worker protocol; ``rule`` is the rule, ``detail`` the evidence."""

    event: ClassVar[str] = "protocol_violation"
    worker: int
    rule: str
    detail: str
    operation: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IsolationDegraded(Event):
    """The machine does not support the configured isolation; processes get a weaker kind.

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
    """A container was started; ``purpose`` names the worker or action that it is for."""

    event: ClassVar[str] = "container_started"
    container: str
    image: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsLost(Event):
    """Events are missing from the ``--events`` file, which could not be written, as on a full disk.

    Attributes:
        count: number of missing events.
        first, last: `seq` of the first and of the last missing event.
    """

    event: ClassVar[str] = "events_lost"
    count: int
    first: int
    last: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobCorrupted(Event):
    """A blob's file did not match its digest; the blob counts as missing now.

    Attributes:
        digest: digest of the blob.
        function: name of the digest function.
        path: path of the file, which was removed.
    """

    event: ClassVar[str] = "blob_corrupted"
    digest: str
    function: str
    path: str


@dataclass(frozen=True, slots=True, kw_only=True)
class InternalError(Event):
    """Code of this server raised an unexpected exception: a bug of the server, never of the client."""

    event: ClassVar[str] = "internal_error"
    where: str
    detail: str


def _held_by(value: object) -> int:
    """Return how much memory a field's value takes beside the record, about."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return _held_by(tuple(value.values()))
    if isinstance(value, tuple | list):
        return sum(_VALUE_BYTES + _held_by(each) for each in value)
    return 0


def _jsonable(value: object) -> object:
    if isinstance(value, FileRecord):
        return value._asdict()
    if isinstance(value, tuple | list):
        return [_jsonable(each) for each in value]
    return value
