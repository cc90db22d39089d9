"""What happened to each action and each worker, read from the log of events.

Pure functions of the events: a record is not updated later, each call makes new ones. An action that
ran twice has two records with different operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar, overload

from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ActionRouted,
    Event,
    FileRecord,
    KeyComponents,
    ProtocolDetected,
    ProtocolViolation,
    RequestSent,
    WorkerNotReused,
    WorkerRetired,
    WorkerStarted,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionRecord:
    """One execution of an action.

    Attributes:
        action: digest of the Action, ``hash/size``.
        operation: name of the operation, different for each execution of an action.
        seq, time: of its first event; seconds since the epoch.
        mnemonic, target, invocation: from the client's RequestMetadata, else empty.
        mode: a `Mode`: ``worker``, ``one-shot``, ``cache`` or ``unseen``.
        reason: the condition that decided the mode.
        key: hex digest of the worker key; None for an action that does not go to a worker.
        key_components: the parts of the key, by name.
        differences: how its key differs from that of the closest live worker, if no worker fitted;
            ``closest_worker`` is the number of that one.
        worker: number of the worker it was sent to, else None.
        reused: whether that worker had served before.
        is_complete: whether it has ended; until then the following attributes are empty.
        exit_code: of the command; None if it did not end by itself.
        asks_for_worker: whether it has a property that asks for a worker.
        tool_inputs: number of its tool inputs.
        cached: whether the result came from the action cache.
        seconds: how long its execution took, without the time in the queue.
        phases: when each phase ended, in seconds since it was sent; see `ActionCompleted`.
        outputs: path and digest of every output file.
        status: name of the status code; ``message`` is its text.
        violations: protocol violations of its worker during the action.
    """

    action: str
    operation: str
    seq: int = 0
    time: float = 0.0
    mnemonic: str = ""
    target: str = ""
    invocation: str = ""
    mode: str = ""
    reason: str = ""
    key: str | None = None
    key_components: KeyComponents = field(default=(), repr=False)
    asks_for_worker: bool = False
    tool_inputs: int = 0
    differences: Sequence[str] = ()
    closest_worker: int | None = None
    worker: int | None = None
    reused: bool = False
    is_complete: bool = False
    exit_code: int | None = None
    cached: bool = False
    seconds: float = 0.0
    phases: Mapping[str, float] = field(default_factory=dict, repr=False, hash=False)
    outputs: Sequence[FileRecord] = field(default=(), repr=False)
    status: str = ""
    message: str = field(default="", repr=False)
    violations: Sequence[ProtocolViolation] = ()

    def __str__(self) -> str:
        """Return the action in a few words: mnemonic, target and the first characters of its digest."""
        named = " ".join(filter(None, (self.mnemonic, self.target)))
        return f"{named or 'action'} ({self.action[:8]}…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """One worker process.

    Attributes:
        worker: its number, never used twice.
        pid: of the process; 0 if its start is not in the log.
        mnemonic: mnemonic of the action that it was started for.
        key: hex digest of its key; ``key_components`` are its parts, by name.
        startup_arguments: its command line, without ``--persistent_worker``.
        tool_inputs: path and digest of each.
        operations: the operations it got requests for, in order.
        requests: number of requests.
        retired: why it ended, None while it is alive; ``retired_at`` is when, in seconds since the
            epoch.
        exit_status: of the process; a negative number is a signal.
        seconds, peak_bytes: its age at its end, and its largest resident set, 0 when not known.
        stderr_tail: the end of its stderr, once it has ended.
        violations: its protocol violations.
    """

    worker: int
    seq: int = 0
    time: float = 0.0
    pid: int = 0
    mnemonic: str = ""
    key: str = ""
    key_components: KeyComponents = field(default=(), repr=False)
    startup_arguments: Sequence[str] = ()
    tool_inputs: Sequence[FileRecord] = field(default=(), repr=False)
    operations: Sequence[str] = ()
    retired: str | None = None
    retired_at: float | None = None
    exit_status: int | None = None
    seconds: float = 0.0
    peak_bytes: int = 0
    stderr_tail: str = field(default="", repr=False)
    violations: Sequence[ProtocolViolation] = ()

    @property
    def requests(self) -> int:
        """Number of requests it got."""
        return len(self.operations)

    @property
    def is_alive(self) -> bool:
        """Whether it has not been retired."""
        return self.retired is None

    def __str__(self) -> str:
        return f"worker {self.worker}"


R = TypeVar("R", bound="ActionRecord | WorkerRecord")
E = TypeVar("E", bound=Event)
_OF_ACTIONS = (
    ActionRouted
    | WorkerNotReused
    | RequestSent
    | ProtocolDetected
    | ProtocolViolation
    | ActionCompleted
)
#: Fields of a record that are those of one event.
_OF_ROUTE = (
    *("mnemonic", "target", "invocation", "mode", "reason", "key", "key_components"),
    *("asks_for_worker", "tool_inputs"),
)
_OF_END = (
    *("mode", "worker", "reused", "exit_code", "cached", "seconds", "outputs"),
    *("status", "message", "phases"),
)
_OF_START = ("pid", "mnemonic", "key", "key_components", "startup_arguments", "tool_inputs")


class Records(Sequence[R], Generic[R]):
    """An immutable sequence of records, with methods that select some of them.

    Args:
        records: in the order of the log.
        title: what was selected, for failure texts.
    """

    def __init__(self, records: Iterable[R], title: str) -> None:
        self._records: tuple[R, ...] = tuple(records)
        self.title = title

    def where(self, condition: Callable[[R], bool], title: str = "where …") -> Self:
        """Return the records for which ``condition`` is true."""
        return type(self)(filter(condition, self._records), f"{self.title} {title}")

    def since(self, mark: int | ActionRecord | WorkerRecord) -> Self:
        """Return the records after ``mark``: a result of `Endpoint.mark`, or a record."""
        seq = mark if isinstance(mark, int) else mark.seq
        return self.where(lambda record: record.seq > seq, f"since {seq}")

    def only(self) -> R:
        """Return the record, if there is exactly one.

        Raises:
            AssertionError: if there is none or more than one, naming them.
        """
        __tracebackhide__ = True
        if len(self._records) != 1:
            listed = "".join(f"\n  {record}" for record in self._records)
            raise AssertionError(
                f"Expected exactly one of {self.title}, found {len(self)}.{listed}"
            )
        return self._records[0]

    def __len__(self) -> int:
        return len(self._records)

    @overload
    def __getitem__(self, index: int) -> R: ...
    @overload
    def __getitem__(self, index: slice) -> Self: ...
    def __getitem__(self, index: int | slice) -> R | Self:
        if isinstance(index, slice):
            return type(self)(self._records[index], self.title)
        return self._records[index]

    def __iter__(self) -> Iterator[R]:
        return iter(self._records)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Records) and self._records == other._records

    def __hash__(self) -> int:
        return hash(self._records)

    def __repr__(self) -> str:
        return f"<{self.title}: {', '.join(map(str, self._records)) or 'none'}>"


class Actions(Records[ActionRecord]):
    """Executions of actions, in the order in which they were routed."""

    def with_mnemonic(self, mnemonic: str) -> Self:
        """Return the actions with this mnemonic, such as ``Javac``."""
        return self.where(lambda each: each.mnemonic == mnemonic, f"with mnemonic {mnemonic!r}")

    def for_target(self, target: str) -> Self:
        """Return the actions of this label; ``@//a:b`` and ``//a:b`` are the same."""
        wanted = target.lstrip("@")
        return self.where(lambda each: each.target.lstrip("@") == wanted, f"for target {target!r}")

    def of(self, digest: str) -> Self:
        """Return the executions of one action, by its digest ``hash/size``."""
        return self.where(lambda each: each.action == digest, f"of {digest[:8]}…")

    def persistent(self) -> Self:
        """Return the actions that went to a persistent worker."""
        return self.where(lambda each: each.mode == Mode.WORKER, "on workers")

    def one_shot(self) -> Self:
        """Return the actions that ran one-shot."""
        return self.where(lambda each: each.mode == Mode.ONE_SHOT, "run one-shot")

    def cached(self) -> Self:
        """Return the actions whose result came from the action cache."""
        return self.where(lambda each: each.mode == Mode.CACHE, "from the cache")

    def on_worker(self, worker: int) -> Self:
        """Return the actions that went to the worker with this number."""
        return self.where(lambda each: each.worker == worker, f"on worker {worker}")


class Workers(Records[WorkerRecord]):
    """Worker processes, in the order in which they were started."""

    def alive(self) -> Self:
        """Return the workers that have not been retired."""
        return self.where(lambda each: each.is_alive, "alive")

    def numbered(self, worker: int) -> WorkerRecord:
        """Return the worker with this number.

        Raises:
            LookupError: if it is not in the log.
        """
        for each in self:
            if each.worker == worker:
                return each
        raise LookupError(f"worker {worker} is not in the log")


def actions_in(events: Iterable[Event]) -> Actions:
    """Return a record for each execution in ``events``."""
    grouped: dict[str, _EventGroup] = {}
    for event in events:
        if isinstance(event, _OF_ACTIONS):
            grouped.setdefault(event.operation, _EventGroup()).add(event)
    records = (_action(operation, group) for operation, group in grouped.items() if operation)
    return Actions(sorted(records, key=lambda record: record.seq), "actions")


def execution_in(events: Sequence[Event], operation: str) -> ActionRecord | None:
    """Return the record of one execution, as `actions_in` makes it; None if it is not in ``events``.

    Reads from the end of the log only as far as needed: a test that runs a thousand actions must not
    make the records of all of them a thousand times.
    """
    newest_first: list[Event] = []
    for event in reversed(events):
        if isinstance(event, _OF_ACTIONS) and event.operation == operation:
            newest_first.append(event)
            if isinstance(event, ActionRouted):
                break
    if not newest_first:
        return None
    group = _EventGroup()
    for event in reversed(newest_first):
        group.add(event)
    return _action(operation, group)


def workers_in(events: Iterable[Event]) -> Workers:
    """Return a record for each worker process in ``events``."""
    grouped: dict[int, _EventGroup] = {}
    for event in events:
        if isinstance(event, WorkerStarted | RequestSent | ProtocolViolation | WorkerRetired):
            grouped.setdefault(event.worker, _EventGroup()).add(event)
    return Workers((_worker(*each) for each in sorted(grouped.items())), "workers")


class _EventGroup:
    """The events about one action or worker, found by their kind."""

    def __init__(self) -> None:
        self._events: list[Event] = []

    def add(self, event: Event) -> None:
        self._events.append(event)

    def all(self, kind: type[E]) -> tuple[E, ...]:
        return tuple(each for each in self._events if isinstance(each, kind))

    def last(self, kind: type[E]) -> E | None:
        return next(iter(reversed(self.all(kind))), None)

    @property
    def first(self) -> Event:
        return self._events[0]


def _action(operation: str, group: _EventGroup) -> ActionRecord:
    routed, completed = group.last(ActionRouted), group.last(ActionCompleted)
    sent, refused = group.last(RequestSent), group.last(WorkerNotReused)
    values: dict[str, Any] = {"seq": group.first.seq, "time": group.first.time}
    if routed is not None:
        values.update((name, getattr(routed, name)) for name in _OF_ROUTE)
    if (detected := group.last(ProtocolDetected)) is not None:
        values.update(key=detected.key, key_components=detected.key_components)
    if completed is not None:
        values.update((name, getattr(completed, name)) for name in _OF_END)
        values["is_complete"] = True
    elif sent is not None:
        values["worker"] = sent.worker
    any_event = routed or completed or sent or refused
    return ActionRecord(
        action=any_event.action if any_event is not None else "",
        operation=operation,
        differences=refused.differences if refused is not None else (),
        closest_worker=refused.closest_worker if refused is not None else None,
        violations=group.all(ProtocolViolation),
        **values,
    )


def _worker(number: int, group: _EventGroup) -> WorkerRecord:
    started, retired = group.last(WorkerStarted), group.last(WorkerRetired)
    values: dict[str, Any] = {"seq": group.first.seq, "time": group.first.time}
    if started is not None:
        values.update((name, getattr(started, name)) for name in _OF_START)
    if retired is not None:
        values.update(
            retired=retired.reason,
            retired_at=retired.time,
            exit_status=retired.exit_status,
            seconds=retired.seconds,
            peak_bytes=retired.peak_bytes,
            stderr_tail=retired.stderr_tail,
        )
    return WorkerRecord(
        worker=number,
        operations=tuple(each.operation for each in group.all(RequestSent)),
        violations=group.all(ProtocolViolation),
        **values,
    )
