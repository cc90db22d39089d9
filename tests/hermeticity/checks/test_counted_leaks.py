"""Leaks that only the number of earlier requests causes."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.checks import counted_leaks
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.trial import Step
from tests.hermeticity.samples import stage

ONE, TWO = (Step(action=SuiteAction(name=name, arguments=())) for name in ("one", "two"))


class Oracle:
    def __init__(self, at: int, only: Step | None = None) -> None:
        self.questions = 0
        self._at = at
        self._only = only

    def __call__(self, before: tuple[Step, ...]) -> bool:
        self.questions += 1
        counted = [each for each in before if self._only in {None, each}]
        return len(counted) >= self._at


@pytest.mark.parametrize("at", [3, 25, 59, 1000])
def test_the_number_is_found_with_few_questions(at: int) -> None:
    oracle = Oracle(at)
    before = (ONE, TWO) * 600
    found = counted_leaks.find(before, ONE, TWO, oracle)
    assert found is not None
    assert (found.title, len(found.names)) == (f"any {at} requests", at)
    assert oracle.questions <= 15


def test_requests_that_fail_need_not_count() -> None:
    bad = Step(action=SuiteAction(name="bad", arguments=(), exit_code=1))

    def is_guilty(before: tuple[Step, ...]) -> bool:
        return sum(each != bad for each in before) % 25 == 24

    found = counted_leaks.find((*(ONE, TWO, bad) * 12, *(bad,) * 7), ONE, TWO, is_guilty)
    assert found is not None
    assert found.title == "any 24 requests"


def test_requests_that_matter_are_named() -> None:
    assert counted_leaks.find((ONE, TWO) * 30, ONE, TWO, Oracle(5, only=TWO)) is None
    assert counted_leaks.find((ONE, TWO) * 30, ONE, TWO, Oracle(5, only=ONE)) is None
    assert counted_leaks.find((ONE, TWO) * 30, ONE, TWO, Oracle(1)) is None
    alone = counted_leaks.find((ONE,) * 30, ONE, TWO, Oracle(5, only=ONE))
    assert alone is not None
    assert (alone.title, alone.names) == ("5 × one", ("one",) * 5)
    lonely = counted_leaks.find((ONE,) * 30, ONE, None, Oracle(5))
    assert lonely is not None
    assert lonely.names == ("one",) * 5


def test_a_counter_is_reported_as_any_requests_and_costs_few_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    starts: list[int] = []
    find = counted_leaks.find
    keep: list[Harness] = []
    run = Harness.run
    monkeypatch.setattr(
        Harness, "run", lambda self, trial: (keep.append(self), run(self, trial))[1]
    )

    def counted(*arguments: object) -> object:
        before = keep[-1].book.worker_starts
        found = find(*arguments)  # type: ignore[arg-type]  # as they come
        starts.append(keep[-1].book.worker_starts - before)
        return found

    monkeypatch.setattr(counted_leaks, "find", counted)
    suite = stage(
        tmp_path / "s",
        "over_time.py",
        "--bug=answer",
        "--at=26",
        headers=["alpha", "beta", "gamma"],
    )
    report = check(load(suite), Options(selected=frozenset(["RPW202"])))
    assert {each.polluters_in_words for each in report.findings} == {"any 25 requests"}
    assert all(set(each.polluters) <= {"alpha", "beta", "gamma"} for each in report.findings)
    assert all("after any 25 requests, " in each.summary for each in report.findings)
    assert {len(each.history) for each in report.findings} == {26}
    assert starts
    assert sum(starts) <= 40
