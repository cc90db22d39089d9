"""What happened to each action and each worker, told from the log of events.

Pure functions of the events: no record is kept up to date, each look makes new ones. One action that
is run twice has two records, told apart by their operations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Self, TypeVar, overload

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
        operation: tells executions of one action apart.
        seq, time: of the event that told its route.
        mnemonic, target, invocation: what the client said of it.
        mode: ``worker``, ``one-shot`` or ``cache``.
        reason: the condition that decided it.
        key: hex digest of the worker key; None for an action that needs no worker.
        key_components: what the key is made of.
        differences: how its key differs from that of the closest live worker, when none fit.
        worker: number of the worker it was sent to, None for none.
        reused: that worker had served before.
        is_complete: it has ended; what follows is empty before.
        exit_code: of the command; None when it did not end by itself.
        cached: the result came from the action cache.
        seconds: from acceptance to the reply.
        outputs: path and digest of every output file.
        status: name of the status; ``message`` its text.
        violations: how its worker broke the protocol in it.
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
    differences: Sequence[str] = ()
    worker: int | None = None
    reused: bool = False
    is_complete: bool = False
    exit_code: int | None = None
    cached: bool = False
    seconds: float = 0.0
    outputs: Sequence[FileRecord] = field(default=(), repr=False)
    status: str = ""
    message: str = field(default="", repr=False)
    violations: Sequence[ProtocolViolation] = ()

    def __str__(self) -> str:
        """The action in a few words: mnemonic, target and the beginning of its digest."""
        named = " ".join(filter(None, (self.mnemonic, self.target)))
        return f"{named or 'action'} ({self.action[:8]}…)"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerRecord:
    """One worker process.

    Attributes:
        worker: its number, never used twice.
        pid: of the process; 0 when its start was not seen.
        key: hex digest of its key; ``key_components`` what that is made of.
        startup_arguments: its command line, without ``--persistent_worker``.
        tool_inputs: path and digest of each.
        operations: those it was sent a request for, in order.
        requests: how many that were.
        retired: why it ended, None while it is alive.
        exit_status: of the process; negative for the number of a signal.
        stderr_tail: the end of what it wrote to stderr, once it has ended.
        violations: how it broke the protocol.
    """

    worker: int
    seq: int = 0
    time: float = 0.0
    pid: int = 0
    key: str = ""
    key_components: KeyComponents = field(default=(), repr=False)
    startup_arguments: Sequence[str] = ()
    tool_inputs: Sequence[FileRecord] = field(default=(), repr=False)
    operations: Sequence[str] = ()
    retired: str | None = None
    retired_at: float | None = None
    exit_status: int | None = None
    stderr_tail: str = field(default="", repr=False)
    violations: Sequence[ProtocolViolation] = ()

    @property
    def requests(self) -> int:
        """How many requests it was sent."""
        return len(self.operations)

    @property
    def is_alive(self) -> bool:
        """It has not been retired."""
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


class Records(Sequence[R], Generic[R]):
    """An immutable sequence of records with selections that give smaller ones.

    Args:
        records: in the order of the log.
        title: how they were selected, for failure texts.
    """

    def __init__(self, records: Iterable[R], title: str) -> None:
        self._records: tuple[R, ...] = tuple(records)
        self.title = title

    def where(self, condition: Callable[[R], bool], title: str = "where …") -> Self:
        """Those of which ``condition`` holds."""
        return type(self)(filter(condition, self._records), f"{self.title} {title}")

    def since(self, mark: int | ActionRecord | WorkerRecord) -> Self:
        """Those that came after ``mark``: what `Endpoint.mark` gave, or a record."""
        seq = mark if isinstance(mark, int) else mark.seq
        return self.where(lambda record: record.seq > seq, f"since {seq}")

    def only(self) -> R:
        """The record, when there is exactly one.

        Raises:
            AssertionError: when there is none or more than one, naming them.
        """
        __tracebackhide__ = True
        if len(self._records) != 1:
            named = "".join(f"\n  {each}" for each in self._records)
            raise AssertionError(f"expected one of {self.title}, found {len(self)}{named}")
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
        """Those of this mnemonic, such as ``Javac``."""
        return self.where(lambda each: each.mnemonic == mnemonic, f"with mnemonic {mnemonic!r}")

    def for_target(self, target: str) -> Self:
        """Those of this label; ``@//a:b`` and ``//a:b`` are the same."""
        wanted = target.lstrip("@")
        return self.where(lambda each: each.target.lstrip("@") == wanted, f"for target {target!r}")

    def of(self, digest: str) -> Self:
        """The executions of one action, by its digest ``hash/size``."""
        return self.where(lambda each: each.action == digest, f"of {digest[:8]}…")

    def persistent(self) -> Self:
        """Those that went to a persistent worker."""
        return self.where(lambda each: each.mode == "worker", "on workers")

    def one_shot(self) -> Self:
        """Those that ran as a process of their own."""
        return self.where(lambda each: each.mode == "one-shot", "run one-shot")

    def cached(self) -> Self:
        """Those whose result came from the action cache."""
        return self.where(lambda each: each.mode == "cache", "from the cache")

    def on_worker(self, worker: int) -> Self:
        """Those that a worker of this number served."""
        return self.where(lambda each: each.worker == worker, f"on worker {worker}")


class Workers(Records[WorkerRecord]):
    """Worker processes, in the order in which they were started."""

    def alive(self) -> Self:
        """Those not retired yet."""
        return self.where(lambda each: each.is_alive, "alive")

    def numbered(self, worker: int) -> WorkerRecord:
        """The worker of this number.

        Raises:
            LookupError: when the log holds nothing of it.
        """
        for each in self:
            if each.worker == worker:
                return each
        raise LookupError(f"worker {worker} is not in the log")


def actions_in(events: Iterable[Event]) -> Actions:
    """The executions that ``events`` tell of."""
    told: dict[str, _Told] = {}
    for event in events:
        if isinstance(event, _OF_ACTIONS):
            told.setdefault(event.operation, _Told()).add(event)
    found = (_action(name, each) for name, each in told.items() if name)
    return Actions(sorted(found, key=lambda each: each.seq), "actions")


def execution_in(events: Sequence[Event], operation: str) -> ActionRecord | None:
    """What `actions_in` would tell of one execution.

    Read from the end of the log as far as needed: whoever asks after each of a thousand actions must
    not have the records of all of them made a thousand times.
    """
    own: list[Event] = []
    for event in reversed(events):
        if isinstance(event, _OF_ACTIONS) and event.operation == operation:
            own.append(event)
            if isinstance(event, ActionRouted):
                break
    if not own:
        return None
    told = _Told()
    for event in reversed(own):
        told.add(event)
    return _action(operation, told)


def workers_in(events: Iterable[Event]) -> Workers:
    """The worker processes that ``events`` tell of."""
    told: dict[int, _Told] = {}
    for event in events:
        if isinstance(event, WorkerStarted | RequestSent | ProtocolViolation | WorkerRetired):
            told.setdefault(event.worker, _Told()).add(event)
    return Workers((_worker(number, each) for number, each in sorted(told.items())), "workers")


class _Told:
    """The events about one thing, found by their kind."""

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


def _action(operation: str, told: _Told) -> ActionRecord:
    routed, completed = told.last(ActionRouted), told.last(ActionCompleted)
    sent, refused = told.last(RequestSent), told.last(WorkerNotReused)
    values: dict[str, Any] = {"seq": told.first.seq, "time": told.first.time}
    if routed is not None:
        for name in ("mnemonic", "target", "invocation", "mode", "reason", "key", "key_components"):
            values[name] = getattr(routed, name)
    if (detected := told.last(ProtocolDetected)) is not None:
        values.update(key=detected.key, key_components=detected.key_components)
    if completed is not None:
        for name in ("mode", "worker", "reused", "exit_code", "cached", "seconds", "outputs"):
            values[name] = getattr(completed, name)
        values.update(status=completed.status, message=completed.message, is_complete=True)
    elif sent is not None:
        values["worker"] = sent.worker
    named = routed or completed or sent or refused
    return ActionRecord(
        action=named.action if named is not None else "",
        operation=operation,
        differences=refused.differences if refused is not None else (),
        violations=told.all(ProtocolViolation),
        **values,
    )


def _worker(number: int, told: _Told) -> WorkerRecord:
    started, retired = told.last(WorkerStarted), told.last(WorkerRetired)
    values: dict[str, Any] = {"seq": told.first.seq, "time": told.first.time}
    if started is not None:
        for name in ("pid", "key", "key_components", "startup_arguments", "tool_inputs"):
            values[name] = getattr(started, name)
    if retired is not None:
        values.update(
            retired=retired.reason,
            retired_at=retired.time,
            exit_status=retired.exit_status,
            stderr_tail=retired.stderr_tail,
        )
    return WorkerRecord(
        worker=number,
        operations=tuple(each.operation for each in told.all(RequestSent)),
        violations=told.all(ProtocolViolation),
        **values,
    )
