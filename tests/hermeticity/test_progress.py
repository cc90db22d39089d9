"""How far a check has come, by the weights of its phases and the time that they took."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest

from rpw_fixture.hermeticity import progress
from rpw_fixture.hermeticity.checks.check_list import CHECKS
from rpw_fixture.hermeticity.findings import baseline
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.progress import Announcer, ProgressTracker, weight

FIRST, SECOND, THIRD = CHECKS[:3]
LEAK = Finding(code="RPW202", summary="it leaks", victim="a")


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 100.0
        monkeypatch.setattr(time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    weights = {FIRST: 1.0, SECOND: 3.0, THIRD: 4.0}
    monkeypatch.setattr(progress, "weight", weights.__getitem__)
    return Clock(monkeypatch)


def test_a_phase_moves_as_fast_as_those_before_it(clock: Clock) -> None:
    tracker = ProgressTracker()
    assert (tracker.now().share, tracker.now().phase) == (0.0, "starting")
    tracker.begin([FIRST, SECOND, THIRD])
    tracker.enter(FIRST)
    clock.now += 10
    assert tracker.now().share == 0.0  # how long a weight takes is not known yet
    tracker.enter(SECOND)
    assert tracker.now().share == pytest.approx(1 / 8)
    clock.now += 15  # of 30
    assert tracker.now().share == pytest.approx(2.5 / 8)
    assert tracker.now().seconds_left == pytest.approx(25 / 2.5 * 5.5)
    clock.now += 1000
    most = 1 + 3 * progress._MOST_OF_PHASE
    assert tracker.now().share == pytest.approx(most / 8)
    assert tracker.now().phase == SECOND.find.__module__.rpartition(".")[2].replace("_", " ")
    tracker.enter(THIRD)
    assert tracker.now().share == pytest.approx(4 / 8)
    tracker.finish()
    assert tracker.now().share == 1.0


def test_each_suite_is_an_equal_part(clock: Clock) -> None:
    tracker = ProgressTracker()
    tracker.expect(0)
    tracker.expect(4)
    tracker.begin([FIRST])
    tracker.enter(FIRST)
    tracker.count(3, 5)
    tracker.finish()
    assert tracker.now().share == 1 / 4
    tracker.begin([FIRST, SECOND])
    tracker.enter(FIRST)
    tracker.enter(SECOND)
    tracker.count(1, 2)
    clock.now += 7
    assert tracker.now().share == (1 + 1 / 4) / 4
    assert (tracker.now().worker_starts, tracker.now().requests) == (4, 7)
    for _ in range(4):
        tracker.finish()
    assert tracker.now().share == 1.0


def test_the_time_left_is_not_guessed_at_the_beginning(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    tracker = ProgressTracker()
    tracker.expect(10)
    tracker.finish()
    clock.now += 3
    monkeypatch.setattr(progress, "_LEAST_SHARE", 0.1)
    assert tracker.now().seconds_left == pytest.approx(27)
    monkeypatch.setattr(progress, "_LEAST_SHARE", 0.11)
    assert tracker.now().seconds_left is None


def test_a_check_without_a_known_weight_weighs_one_per_cent() -> None:
    assert all(weight(each) > 0 for each in CHECKS)
    assert weight(type(FIRST)(**{**_fields(FIRST), "find": lambda _: ()})) == 1.0


def _fields(check: Any) -> dict[str, Any]:
    return {name: getattr(check, name) for name in check.__dataclass_fields__}


def announced(
    *findings: Finding, selected: Sequence[str] = ("RPW202",), accepted: Sequence[Finding] = ()
) -> list[Finding]:
    found: list[Finding] = []
    names = frozenset(map(baseline.identity, accepted))
    announcer = Announcer(ProgressTracker(found.append), frozenset(selected), names)
    for each in findings:
        announcer.found(each)
    return found


def test_a_finding_is_announced_once_if_it_counts() -> None:
    assert announced(LEAK, LEAK) == [LEAK]
    assert announced(LEAK, selected=()) == []
    assert announced(LEAK, accepted=[LEAK]) == []


def test_without_a_tracker_nothing_is_announced() -> None:
    announcer = Announcer(None, frozenset({"RPW202"}), frozenset())
    announcer.begin([FIRST])
    announcer.enter(FIRST)
    announcer.found(LEAK)
