"""Decides which waiting action a pool serves next: a pure policy, without locks, threads or clocks.

Starting a worker takes as long as hundreds of requests. So an action that fits an idle worker goes first,
and an idle worker is not ended for an action of another key while more actions that fit it may come. In
return, other actions are passed over, but only a bounded number of times.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar


class Waiting(Protocol):
    """An action that waits for a worker."""

    @property
    def key_digest(self) -> str:
        """The key of the workers that fit it."""

    @property
    def most_workers(self) -> int:
        """How many workers its key may have."""

    @property
    def passed_over(self) -> int:
        """Number of actions that began later and have ended while it waited."""

    @property
    def can_go_on(self) -> bool:
        """Whether it may run now if it gets a worker."""

    @property
    def has_waited_long(self) -> bool:
        """Whether it has waited for as long as it takes to start a worker."""


W = TypeVar("W", bound=Waiting)
#: An action waits this many times longer for each worker that its key has already.
_PATIENCE_PER_WORKER = 4


class NextStep(enum.Enum):
    """The step to take for one waiting action."""

    REUSE = "give it an idle worker"
    START = "let it start a worker"
    REPLACE = "end an idle worker of another key, to make room"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolState:
    """The workers of a pool.

    Attributes:
        free_keys: keys with a worker that can take a request now.
        idle_keys: the keys of workers without any request, least recently used first.
        counts: workers of each key, those that start or end included.
        room: how many workers may be started before the pool is full.
        leaving: how many workers are ending.
        more_to_come: whether there are actions that have not begun, and may fit an idle worker.
        others_run: whether actions run that do not wait for a worker, so that others may follow.
        patience: number of times that an action may be passed over.
    """

    free_keys: Collection[str]
    idle_keys: Sequence[str]
    counts: Mapping[str, int]
    room: int
    leaving: int
    more_to_come: bool
    others_run: bool
    patience: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Generic[W]):
    """The next step.

    Attributes:
        step: what to do.
        waiter: for which action.
        victim: the key of the idle worker to end, when the step is to replace one.
    """

    step: NextStep
    waiter: W
    victim: str = ""


def next_choice(waiting: Sequence[W], state: PoolState) -> Choice[W] | None:
    """Choose the action to serve next; None when all have to wait.

    Args:
        waiting: all waiting actions, in the order in which they began to wait.
        state: the workers.
    """
    overdue = [each for each in waiting if _is_overdue(each, state)]
    return (
        _for_overdue(overdue, waiting, state)
        or _first(NextStep.REUSE, waiting, lambda each: each.key_digest in state.free_keys)
        or _start(waiting, state)
        or (None if state.more_to_come else _replacement(waiting, waiting, state))
    )


def _is_overdue(each: Waiting, state: PoolState) -> bool:
    """Return whether an action was passed over often enough to replace an idle worker of another key.

    The limit grows with the number of workers of its key, because those will serve it in its turn.
    """
    workers = state.counts.get(each.key_digest, 0)
    return each.passed_over >= state.patience * (1 + _PATIENCE_PER_WORKER * workers)


def _for_overdue(overdue: Sequence[W], waiting: Sequence[W], state: PoolState) -> Choice[W] | None:
    return (
        _first(NextStep.REUSE, overdue, lambda each: each.key_digest in state.free_keys)
        or _start(overdue, state)
        or _replacement(overdue, waiting, state, is_overdue=True)
    )


def _first(
    step: NextStep, waiting: Iterable[W], is_possible: Callable[[W], bool]
) -> Choice[W] | None:
    for each in waiting:
        if is_possible(each) and each.can_go_on:
            return Choice(step=step, waiter=each)
    return None


def _may_grow(each: Waiting, state: PoolState) -> bool:
    return state.counts.get(each.key_digest, 0) < each.most_workers


def _is_without_worker(each: Waiting, state: PoolState) -> bool:
    return not state.counts.get(each.key_digest, 0)


def _start(waiting: Iterable[W], state: PoolState) -> Choice[W] | None:
    """Choose an action for which there is room; first one whose key has no worker at all."""
    if state.room <= 0:
        return None
    return _first(NextStep.START, waiting, lambda each: _is_without_worker(each, state)) or _first(
        NextStep.START, waiting, lambda each: _may_grow(each, state)
    )


def _replacement(
    candidates: Iterable[W],
    waiting: Sequence[W],
    state: PoolState,
    *,
    is_overdue: bool = False,
) -> Choice[W] | None:
    """Choose an idle worker to end for the first action that needs room, unless enough are ending."""
    for number, each in enumerate(_in_need(candidates, state, is_overdue=is_overdue)):
        if number >= state.leaving:
            victim = _victim(waiting, state, is_overdue=is_overdue)
            return (
                None
                if victim is None
                else Choice(step=NextStep.REPLACE, waiter=each, victim=victim)
            )
    return None


def _in_need(candidates: Iterable[W], state: PoolState, *, is_overdue: bool) -> Iterator[W]:
    """Yield the first of each key for which room is worth the end of an idle worker."""
    seen: set[str] = set()
    for each in candidates:
        if each.key_digest in seen or not _may_grow(each, state):
            continue
        is_idle_pool = _is_without_worker(each, state) and not state.others_run
        if is_overdue or ((is_idle_pool or each.has_waited_long) and each.can_go_on):
            seen.add(each.key_digest)
            yield each


def _victim(waiting: Sequence[Waiting], state: PoolState, *, is_overdue: bool) -> str | None:
    """Choose the least recently used idle worker, if possible one that no action waits for."""
    wanted = {each.key_digest for each in waiting}
    unwanted = (key for key in state.idle_keys if key not in wanted)
    fallback = state.idle_keys[0] if is_overdue and state.idle_keys else None
    return next(unwanted, fallback)
