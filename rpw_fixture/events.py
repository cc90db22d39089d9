"""What the server observed: immutable records in one bounded log.

Here live the record types and the log. Assertions, reports and findings are pure functions of these
records; nothing here decides anything, and nothing else keeps a second account of what happened.
"""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, NamedTuple, TypeVar, overload

from rpw_fixture.errors import EnvironmentLacksError

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
class WorkerStarted(Event):
    """A worker process was started."""

    event: ClassVar[str] = "worker_started"
    worker: int
    pid: int
    key: str
    startup_arguments: Sequence[str]
    tool_inputs: Sequence[FileRecord]
    key_components: KeyComponents = field(default=(), repr=False, metadata={"json": False})


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerNotReused(Event):
    """Workers are alive, but none fits the action's key; the closest one differs so.

    Attributes:
        closest_worker: the live worker with the fewest different components.
        differences: each in words, such as ``tool input tools/lib.py: 3f2a… → 91bc…``.
    """

    event: ClassVar[str] = "worker_not_reused"
    action: str
    operation: str
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
        mode: ``worker``, ``one-shot`` or ``cache``.
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
    mode: str
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
class InternalError(Event):
    """Code of this server raised: a bug of ours, never the client's."""

    event: ClassVar[str] = "internal_error"
    where: str
    detail: str


E = TypeVar("E", bound=Event)


class EventLog(Sequence[Event]):
    """An append-only log that keeps the newest ``limit`` records.

    It behaves as a sequence of the records it still holds. All methods may be called from any thread.

    Args:
        limit: how many records are kept.
        clock: seconds since the epoch.
    """

    def __init__(self, *, limit: int = 100_000, clock: Callable[[], float] = time.time) -> None:
        self._records: deque[Event] = deque(maxlen=limit)
        self._changed = threading.Condition()
        self._next = 1
        self._clock = clock
        self._sinks: tuple[Callable[[Event], None], ...] = ()
        self._waiters = 0

    def append(self, record: E) -> E:
        """Stamps the record with its number and the time, keeps it, and tells the sinks."""
        with self._changed:
            object.__setattr__(record, "seq", self._next)
            object.__setattr__(record, "time", self._clock())
            self._next += 1
            self._records.append(record)
            for sink in self._sinks:
                sink(record)
            if self._waiters:
                self._changed.notify_all()
        return record

    def add_sink(self, sink: Callable[[Event], None]) -> None:
        """Has ``sink`` called with every later record, in order, under the log's lock."""
        with self._changed:
            self._sinks = (*self._sinks, sink)

    def remove_sink(self, sink: Callable[[Event], None]) -> None:
        """Has ``sink`` called no more."""
        with self._changed:
            self._sinks = tuple(each for each in self._sinks if each != sink)

    def clear(self) -> None:
        """Forgets all records; numbers go on."""
        with self._changed:
            self._records.clear()

    def of(self, kind: type[E]) -> list[E]:
        """The records of one kind, oldest first."""
        return [record for record in self.snapshot() if isinstance(record, kind)]

    def snapshot(self) -> list[Event]:
        """The records held now, oldest first."""
        with self._changed:
            return list(self._records)

    def wait_for(self, condition: Callable[[list[Event]], bool], timeout: float = 10.0) -> bool:
        """Waits until ``condition`` holds of the records; False when ``timeout`` seconds passed."""
        with self._changed:
            self._waiters += 1
            try:
                return self._changed.wait_for(lambda: condition(list(self._records)), timeout)
            finally:
                self._waiters -= 1

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> Event: ...
    @overload
    def __getitem__(self, index: slice) -> list[Event]: ...
    def __getitem__(self, index: int | slice) -> Event | list[Event]:
        return self.snapshot()[index]

    def __iter__(self) -> Iterator[Event]:
        return iter(self.snapshot())


class JsonLines:
    """A sink that writes each record as one line of JSON.

    Args:
        path: the file, appended to.

    Raises:
        EnvironmentLacksError: when the file can't be opened.
    """

    def __init__(self, path: str) -> None:
        try:
            self._file = Path(path).open("a", encoding="utf-8", buffering=1)  # noqa: SIM115 - open for the log's life
        except OSError as error:
            raise EnvironmentLacksError(f"--events {path}: {error.strerror}") from None

    def __call__(self, record: Event) -> None:
        """Writes the record, unless closed."""
        if self._file.closed:
            return
        self._file.write(json.dumps(record.as_dict(), separators=(",", ":")) + "\n")

    def close(self) -> None:
        """Closes the file; later records are not written."""
        self._file.close()


def _jsonable(value: object) -> object:
    if isinstance(value, FileRecord):
        return value._asdict()
    if isinstance(value, tuple | list):
        return [_jsonable(each) for each in value]
    return value
