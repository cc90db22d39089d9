"""Which waiting action a worker pool serves next: a pure policy, without locks, threads or clocks.

To start a worker takes as long as hundreds of requests. So an action that fits an idle worker goes
first, and an idle worker of one key is not ended for another key while more actions may come that
fit it. The price is that others are passed over; how often is bounded.
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
        """How many actions that came later have ended while it waited."""

    @property
    def can_go_on(self) -> bool:
        """Whether it may run now, should it get a worker."""


W = TypeVar("W", bound=Waiting)


class Step(enum.Enum):
    """What to do for one waiting action."""

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
        may_wait: more actions may come that fit idle workers, so none is ended yet for another key.
        patience: how often an action may be passed over.
    """

    free_keys: Collection[str]
    idle_keys: Sequence[str]
    counts: Mapping[str, int]
    room: int
    leaving: int
    may_wait: bool
    patience: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice(Generic[W]):
    """The next step.

    Attributes:
        step: what to do.
        waiter: for which action.
        victim: the key of the idle worker to end, when the step is to replace one.
    """

    step: Step
    waiter: W
    victim: str = ""


def next_choice(waiting: Sequence[W], state: PoolState) -> Choice[W] | None:
    """Choose whom to serve next; None when all have to wait.

    Args:
        waiting: all that wait, the longest first.
        state: the workers.
    """
    overdue = [each for each in waiting if _is_overdue(each, state)]
    return (
        _for_overdue(overdue, waiting, state)
        or _first(Step.REUSE, waiting, lambda each: each.key_digest in state.free_keys)
        or _first(Step.START, waiting, lambda each: state.room > 0 and _may_grow(each, state))
        or (None if state.may_wait else _replacement(waiting, waiting, state))
    )


def _is_overdue(each: Waiting, state: PoolState) -> bool:
    """Tell whether an action was passed over often enough to take an idle worker from another key.

    The more workers its key has, the later: they serve it too, in its turn.
    """
    workers = state.counts.get(each.key_digest, 0)
    return each.passed_over >= state.patience * (1 + workers)


def _for_overdue(overdue: Sequence[W], waiting: Sequence[W], state: PoolState) -> Choice[W] | None:
    return (
        _first(Step.REUSE, overdue, lambda each: each.key_digest in state.free_keys)
        or _first(Step.START, overdue, lambda each: state.room > 0 and _may_grow(each, state))
        or _replacement(overdue, waiting, state, is_overdue=True)
    )


def _first(step: Step, waiting: Iterable[W], is_possible: Callable[[W], bool]) -> Choice[W] | None:
    for each in waiting:
        if is_possible(each) and each.can_go_on:
            return Choice(step=step, waiter=each)
    return None


def _may_grow(each: Waiting, state: PoolState) -> bool:
    return state.counts.get(each.key_digest, 0) < each.most_workers


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
            return None if victim is None else Choice(step=Step.REPLACE, waiter=each, victim=victim)
    return None


def _in_need(candidates: Iterable[W], state: PoolState, *, is_overdue: bool) -> Iterator[W]:
    for each in candidates:
        if _may_grow(each, state) and (is_overdue or each.can_go_on):
            yield each


def _victim(waiting: Sequence[Waiting], state: PoolState, *, is_overdue: bool) -> str | None:
    """Choose the least recently used idle worker, if possible one that nobody waits for."""
    wanted = {each.key_digest for each in waiting}
    unwanted = (key for key in state.idle_keys if key not in wanted)
    fallback = state.idle_keys[0] if is_overdue and state.idle_keys else None
    return next(unwanted, fallback)
