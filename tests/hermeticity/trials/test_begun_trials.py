"""Trials that run before their results are asked for: each once, and none after a worker failed."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.begun_trials import BegunTrials
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, Trial, UnavailableError, steps

PATIENCE = 30.0


def trial(name: str) -> Trial:
    return Trial(history=steps(SuiteAction(name=name, arguments=())))


def result_of(asked: Trial, failure: str = "") -> Result:
    return Result(outcomes=(Outcome(step=asked.history[0], exit_code=0, failure=failure),))


class Runner:
    """Runs trials that wait for the test.

    Attributes:
        begun: names of the trials that were begun, in that order.
        may_end: set when all may end.
    """

    def __init__(self) -> None:
        self.begun: list[str] = []
        self.may_end = threading.Event()
        self._has_begun = threading.Condition()

    def __call__(self, asked: Trial) -> Result:
        name = asked.history[0].action.name
        with self._has_begun:
            self.begun.append(name)
            self._has_begun.notify_all()
        assert self.may_end.wait(PATIENCE)
        if name == "unavailable":
            raise UnavailableError(name)
        return result_of(asked, "crash" if name == "failing" else "")

    def await_begun(self, count: int) -> None:
        with self._has_begun:
            assert self._has_begun.wait_for(lambda: len(self.begun) >= count, PATIENCE)


@pytest.fixture
def runner() -> Runner:
    return Runner()


@pytest.fixture
def begun(runner: Runner) -> Iterator[BegunTrials]:
    with closing(BegunTrials(runner, runner, jobs=2)) as made:
        yield made
        runner.may_end.set()


def test_a_result_is_waited_for_and_the_trial_runs_once(begun: BegunTrials, runner: Runner) -> None:
    begun.begin_ahead([trial("one"), trial("one")])
    runner.await_begun(1)
    runner.may_end.set()
    assert begun.find(trial("one")) == begun.find(trial("one")) == result_of(trial("one"))
    assert runner.begun == ["one"]


def test_what_has_not_begun_is_left_to_who_asks(begun: BegunTrials, runner: Runner) -> None:
    begun.begin_ahead([trial("one"), trial("two")])
    runner.await_begun(1)
    assert begun.find(trial("two")) is None
    runner.may_end.set()
    assert begun.find(trial("one")) is not None
    assert begun.find(trial("two")) is None
    assert begun.find(trial("never begun")) is None
    assert runner.begun == ["one"]


def test_after_a_failure_no_other_begins(begun: BegunTrials, runner: Runner) -> None:
    begun.begin_ahead([trial("failing"), trial("two"), trial("three")])
    runner.await_begun(1)
    runner.may_end.set()
    assert begun.find(trial("failing")) == result_of(trial("failing"), "crash")
    assert begun.find(trial("two")) is begun.find(trial("three")) is None
    assert runner.begun == ["failing"]


def test_those_that_wait_run_beside_the_others(begun: BegunTrials, runner: Runner) -> None:
    begun.begin_ahead([trial("one")])
    begun.begin_aside(trial("waiting"))
    begun.begin_aside(trial("waiting"))
    runner.await_begun(2)
    runner.may_end.set()
    assert begun.find(trial("waiting")) == result_of(trial("waiting"))
    assert sorted(runner.begun) == ["one", "waiting"]


def test_what_a_trial_raises_is_raised_where_it_is_asked_for(
    begun: BegunTrials, runner: Runner
) -> None:
    begun.begin_ahead([trial("unavailable")])
    runner.await_begun(1)
    runner.may_end.set()
    with pytest.raises(UnavailableError):
        begun.find(trial("unavailable"))
