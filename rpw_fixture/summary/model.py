"""The summary of a run: how actions ran and why, what workers did, what went wrong."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import (
    ActionRouted,
    Event,
    EventsLost,
    InternalError,
    ProtocolViolation,
    ServerStarted,
)
from rpw_fixture.testing import remedies
from rpw_fixture.testing.records import ActionRecord, Actions, Workers, actions_in, workers_in
from rpw_fixture.testing.starts import WorkerStart, starts_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Durations of actions, seconds."""

    count: int
    total: float
    median: float
    shortest: float
    longest: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Durations | None:
        """Return them for at least one value, else None."""
        if not seconds:
            return None
        return cls(
            count=len(seconds),
            total=sum(seconds),
            median=statistics.median(seconds),
            shortest=min(seconds),
            longest=max(seconds),
        )

    def as_dict(self) -> dict[str, object]:
        """Return them as an object for JSON."""
        return {name: round(getattr(self, name), 6) for name in self.__slots__}


@dataclass(frozen=True, slots=True, kw_only=True)
class MnemonicSummary:
    """The actions of one mnemonic.

    Attributes:
        mnemonic: the mnemonic, empty for clients that send none.
        actions: number of actions.
        on_worker: number of those that a worker served; ``reused`` of them by a warm worker.
        one_shot, cached: number of those that ran one-shot, or came from the action cache.
        failed: number of those with an error or an exit code other than 0.
        starts: number of workers that were started for one of them.
        warm, cold, one_shot_seconds: durations on a reused worker, on one that was started for the
            action, and one-shot; None when there was none.
    """

    mnemonic: str
    actions: int
    on_worker: int
    reused: int
    one_shot: int
    cached: int
    failed: int
    starts: int
    warm: Durations | None
    cold: Durations | None
    one_shot_seconds: Durations | None

    def as_dict(self) -> dict[str, object]:
        """Return it as an object for JSON."""
        values = {name: getattr(self, name) for name in self.__slots__}
        return {
            name: each.as_dict() if isinstance(each, Durations) else each
            for name, each in values.items()
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class OneShotReason:
    """A reason why actions ran one-shot.

    Attributes:
        reason: the condition that was not met.
        remedy: what to change; empty when nothing is known.
        actions: the actions, in order.
        is_warning: one of them asked for a worker, or has tool inputs.
    """

    reason: str
    remedy: str
    actions: Sequence[ActionRecord]
    is_warning: bool

    def as_dict(self) -> dict[str, object]:
        """Return it as an object for JSON."""
        return {
            "reason": self.reason,
            "actions": len(self.actions),
            "mnemonics": sorted({each.mnemonic for each in self.actions}),
            "asks_for_worker": self.is_warning,
            "remedy": self.remedy,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """The summary of the run of one server.

    Attributes:
        server: its start, if that is in the log.
        seconds: from the first event to the last one.
        actions: all executions; workers: all worker processes.
        starts: why each worker was started.
        mnemonics: per mnemonic, the one with the most actions first.
        one_shot: per reason, the most frequent first; refused actions are no one-shot runs.
        refused: actions that the server would not run.
        violations: of the worker protocol.
        internal_errors: bugs of the server.
        missing: number of events that are not in the log any more.
    """

    server: ServerStarted | None
    seconds: float
    actions: Actions
    workers: Workers
    starts: tuple[WorkerStart, ...]
    mnemonics: tuple[MnemonicSummary, ...]
    one_shot: tuple[OneShotReason, ...]
    refused: tuple[ActionRecord, ...]
    violations: tuple[ProtocolViolation, ...]
    internal_errors: tuple[InternalError, ...]
    missing: int

    @property
    def on_worker(self) -> int:
        """Number of actions that a worker served."""
        return sum(each.on_worker for each in self.mnemonics)

    @property
    def reused(self) -> int:
        """Number of actions that a warm worker served."""
        return sum(each.reused for each in self.mnemonics)

    @property
    def reuse_rate(self) -> float | None:
        """Share of the actions on workers that a warm one served; None without such actions."""
        return self.reused / self.on_worker if self.on_worker else None

    def as_dict(self) -> dict[str, object]:
        """Return the summary as an object for JSON."""
        return {
            "version": self.server.version if self.server is not None else None,
            "endpoint": self.server.endpoint if self.server is not None else None,
            "seconds": round(self.seconds, 6),
            "actions": len(self.actions),
            "on_worker": self.on_worker,
            "reused": self.reused,
            "reuse_rate": self.reuse_rate,
            "worker_starts": [each.as_dict() for each in self.starts],
            "mnemonics": [each.as_dict() for each in self.mnemonics],
            "one_shot": [each.as_dict() for each in self.one_shot],
            "refused": [
                {"target": each.target, "mnemonic": each.mnemonic, "message": each.message}
                for each in self.refused
            ],
            "violations": [
                {"worker": each.worker, "rule": each.rule, "detail": each.detail}
                for each in self.violations
            ],
            "internal_errors": [each.where for each in self.internal_errors],
            "missing_events": self.missing,
        }


def summarize(events: Sequence[Event]) -> RunSummary:
    """Return what happened, from the events of one server."""
    actions, workers = actions_in(events), workers_in(events)
    starts = starts_of(actions, workers)
    return RunSummary(
        server=next((each for each in events if isinstance(each, ServerStarted)), None),
        seconds=events[-1].time - events[0].time if events else 0.0,
        actions=actions,
        workers=workers,
        starts=starts,
        mnemonics=_mnemonics(actions, starts),
        one_shot=one_shot_reasons(actions),
        refused=tuple(each for each in actions if is_refused(each)),
        violations=tuple(each for each in events if isinstance(each, ProtocolViolation)),
        internal_errors=tuple(each for each in events if isinstance(each, InternalError)),
        missing=_missing(events),
    )


def one_shot_reasons(actions: Iterable[ActionRecord]) -> tuple[OneShotReason, ...]:
    """Return the reasons why actions ran one-shot, the most frequent first."""
    groups: dict[str, list[ActionRecord]] = {}
    for each in actions:
        if each.mode == Mode.ONE_SHOT and not is_refused(each):
            groups.setdefault(each.reason, []).append(each)
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    return tuple(
        OneShotReason(
            reason=reason,
            remedy=remedies.for_one_shot(reason),
            actions=tuple(found),
            is_warning=any(map(should_warn, found)),
        )
        for reason, found in ordered
    )


def should_warn(action: ActionRecord | ActionRouted) -> bool:
    """Return whether an action that ran one-shot looks as if a worker had been wanted."""
    return action.asks_for_worker or action.tool_inputs > 0


def is_refused(action: ActionRecord | ActionRouted) -> bool:
    """Return whether the server would not run the action at all."""
    return action.reason.startswith("refused, ")


def has_failed(action: ActionRecord) -> bool:
    """Return whether an action ended with an error, or with an exit code other than 0."""
    return action.is_complete and (action.status != "OK" or bool(action.exit_code))


def _mnemonics(actions: Actions, starts: Sequence[WorkerStart]) -> tuple[MnemonicSummary, ...]:
    groups: dict[str, list[ActionRecord]] = {}
    for each in actions:
        groups.setdefault(each.mnemonic, []).append(each)
    ordered = sorted(groups.items(), key=lambda item: (-len(item[1]), item[0]))
    return tuple(_mnemonic(name, group, starts) for name, group in ordered)


def _mnemonic(
    name: str, actions: Sequence[ActionRecord], starts: Sequence[WorkerStart]
) -> MnemonicSummary:
    served = [each for each in actions if each.mode == Mode.WORKER and each.worker is not None]
    one_shot = [each for each in actions if each.mode == Mode.ONE_SHOT and not is_refused(each)]
    return MnemonicSummary(
        mnemonic=name,
        actions=len(actions),
        on_worker=len(served),
        reused=sum(each.reused for each in served),
        one_shot=len(one_shot),
        cached=sum(each.mode == Mode.CACHE for each in actions),
        failed=sum(map(has_failed, actions)),
        starts=sum(each.worker.mnemonic == name for each in starts),
        warm=_durations(each for each in served if each.reused),
        cold=_durations(each for each in served if not each.reused),
        one_shot_seconds=_durations(one_shot),
    )


def _durations(actions: Iterable[ActionRecord]) -> Durations | None:
    """Return how long they took, as far as that is known: a recording does not say."""
    return Durations.of([each.seconds for each in actions if each.is_complete and each.seconds])


def _missing(events: Sequence[Event]) -> int:
    """Return how many events the log has forgotten, or could not write."""
    if not events:
        return 0
    lost = sum(each.count for each in events if isinstance(each, EventsLost))
    return lost or events[-1].seq - len(events)
