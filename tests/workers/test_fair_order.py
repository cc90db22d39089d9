"""The policy of a pool by itself: whom it serves next, without processes, threads or clocks."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from rpw_fixture.workers.fair_order import Choice, NextStep, PoolState, next_choice

PATIENCE = 10


@dataclass(frozen=True, kw_only=True)
class Waiting:
    key_digest: str
    most_workers: int = 4
    passed_over: int = 0
    can_go_on: bool = True
    has_waited_long: bool = False


def waiting(key: str, **others: Any) -> Waiting:
    return Waiting(key_digest=key, **others)


def pool(*idle: str, busy: str = "", **others: Any) -> PoolState:
    """A pool with these idle workers, least recently used first, and these busy ones."""
    given: dict[str, Any] = {
        "free_keys": frozenset(idle),
        "idle_keys": idle,
        "counts": Counter([*idle, *busy]),
        "room": 0,
        "leaving": 0,
        "more_to_come": False,
        "others_run": False,
        "patience": PATIENCE,
        **others,
    }
    return PoolState(**given)


def chosen(line: list[Waiting], state: PoolState) -> tuple[NextStep, int, str] | None:
    """The step, the position in line of whom it is for, and the key of the worker that is ended."""
    choice: Choice[Waiting] | None = next_choice(line, state)
    return choice and (choice.step, line.index(choice.waiter), choice.victim)


def test_who_fits_an_idle_worker_goes_before_who_came_earlier() -> None:
    line = [waiting("a"), waiting("b"), waiting("b", passed_over=1)]

    assert chosen(line, pool("b", more_to_come=True)) == (NextStep.REUSE, 1, "")


def test_room_is_given_to_a_key_without_worker_first_else_in_the_order_they_came() -> None:
    line = [waiting("a"), waiting("b"), waiting("c")]

    assert chosen(line, pool(busy="a", room=1)) == (NextStep.START, 1, "")
    assert chosen(line, pool(busy="abc", room=1)) == (NextStep.START, 0, "")


def test_a_key_has_no_more_workers_than_it_may_have() -> None:
    assert chosen([waiting("a", most_workers=2)], pool(busy="aa", room=5)) is None
    assert chosen([waiting("a", most_workers=2, passed_over=999)], pool("b", busy="aa")) is None


@pytest.mark.parametrize(
    "state",
    [
        {"more_to_come": True},
        {"others_run": True},
        {"leaving": 1},
    ],
)
def test_no_worker_is_ended_while_others_may_fit_it_or_room_is_on_its_way(
    state: dict[str, Any],
) -> None:
    assert chosen([waiting("a")], pool("b", **state)) is None
    assert chosen([waiting("a")], pool("b")) == (NextStep.REPLACE, 0, "b")


def test_the_least_recently_used_worker_that_no_action_waits_for_is_ended() -> None:
    # Those who wait for b can't go on: too many other actions run.
    line = [waiting("a"), waiting("b", can_go_on=False)]

    assert chosen(line, pool("b", "c", "d")) == (NextStep.REPLACE, 0, "c")
    assert chosen(line, pool("b")) is None


def test_a_further_worker_of_a_key_takes_the_place_of_another_only_after_a_while() -> None:
    assert chosen([waiting("a")], pool("b", busy="a")) is None
    late = waiting("a", has_waited_long=True)
    assert chosen([late], pool("b", busy="a")) == (NextStep.REPLACE, 0, "b")
    assert chosen([late], pool("b", busy="a", more_to_come=True)) is None


def test_one_key_makes_one_worker_leave_at_a_time() -> None:
    line = [waiting("a", has_waited_long=True)] * 3

    assert chosen(line, pool("b", "c", leaving=1)) is None
    assert chosen([*line, waiting("d")], pool("b", "c", leaving=1)) == (NextStep.REPLACE, 3, "b")


def test_an_action_passed_over_often_gets_room_even_if_others_wait_for_the_idle_worker() -> None:
    line = [waiting("a", passed_over=PATIENCE), waiting("b")]

    assert chosen(line, pool("b", more_to_come=True, others_run=True)) == (NextStep.REPLACE, 0, "b")
    assert chosen(line, pool("b", "b", leaving=1)) == (NextStep.REUSE, 1, "")
    assert chosen(line, pool("c", "a", busy="", room=0)) == (NextStep.REUSE, 0, "")
    assert chosen(line, pool("b", room=1)) == (NextStep.START, 0, "")


def test_who_was_passed_over_often_has_room_made_before_it_can_go_on() -> None:
    line = [waiting("a", passed_over=PATIENCE, can_go_on=False)]

    assert chosen(line, pool("b")) == (NextStep.REPLACE, 0, "b")
    assert chosen(line, pool(room=1)) is None
    assert chosen(line, pool("a")) is None


def test_the_more_workers_a_key_has_the_later_it_takes_one_from_another() -> None:
    often = PATIENCE * 5

    assert (
        chosen([waiting("a", passed_over=often - 1)], pool("b", busy="a", others_run=True)) is None
    )
    assert chosen([waiting("a", passed_over=often)], pool("b", busy="a", others_run=True)) == (
        NextStep.REPLACE,
        0,
        "b",
    )


@pytest.mark.parametrize("keys", [2, 10, 40])
def test_no_action_is_passed_over_without_end(keys: int) -> None:
    """Endless work of other keys, one worker: each action is served within the bound."""
    line = [waiting(f"key {number}") for number in range(keys)]
    idle, most = "key 0", 0
    for _ in range(2_000):
        choice = next_choice(line, pool(idle, more_to_come=True, others_run=True))
        assert choice is not None
        most = max(most, *(each.passed_over for each in line))
        position = line.index(choice.waiter)
        idle = choice.waiter.key_digest
        passed = [
            waiting(each.key_digest, passed_over=each.passed_over + 1) for each in line[:position]
        ]
        line = [*passed, *line[position + 1 :], waiting(idle)]

    assert most <= PATIENCE + keys
