"""Trials that a cluster was asked for: each once, and what becomes of the others when one fails."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from typing import Any

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.trials.far.asked_trials import AskedTrials
from rpw_fixture.hermeticity.trials.trial import UnavailableError


class Runner:
    """A cluster whose answers the test gives."""

    def __init__(self) -> None:
        self.begun: list[tuple[str, bool]] = []
        self.answers: list[Future[Any]] = []
        self.is_cancelled = self.is_one_path = self.is_instant = False

    def begin(self, trial: str, *, before: Any, done: Any, is_fresh: bool) -> Future[Any]:
        before()
        self.begun.append((trial, is_fresh))
        self.answers.append(Future())
        self.answers[-1].add_done_callback(lambda each: each.cancelled() or done(each))
        if self.is_instant:
            self.answers[-1].set_result("new")
        return self.answers[-1]

    def cancel(self) -> None:
        self.is_cancelled = True


class Book:
    """What would be known of trials, which have names here."""

    def __init__(self) -> None:
        self.calls: list[object] = []
        self.results: dict[str, Any] = {}

    def to_run(self, trial: str) -> str:
        return f"prepared {trial}"

    def require_time(self) -> None:
        self.calls.append("before")

    def keep(self, trial: str, _: object) -> None:
        self.calls.append(f"kept {trial}")

    def known(self, trial: str) -> Any:
        return self.results.get(trial)


class Asked:
    """Trials by name, the cluster, and the book."""

    def __init__(self) -> None:
        self.book: Any = Book()
        self.runner: Any = Runner()
        self.trials: Any = AskedTrials(self.book, self.runner, jobs=1)


@pytest.fixture
def asked() -> Asked:
    return Asked()


def test_a_trial_is_asked_for_once(asked: Asked) -> None:
    asked.trials.begin("one")
    asked.trials.begin_ahead(["one", "other"])
    assert asked.runner.begun == [("prepared one", False), ("prepared other", False)]
    asked.runner.answers[0].set_result("result")
    assert asked.trials.run("one") == "result"
    assert asked.book.calls == ["before", "before", "kept one"]


def test_a_trial_whose_result_is_known_is_not_asked_for(asked: Asked) -> None:
    asked.book.results["one"] = "known"
    assert asked.trials.run("one") == "known"
    asked.trials.run_all(["one"])
    assert asked.runner.begun == []


def test_a_trial_that_was_cancelled_is_asked_for_again(asked: Asked) -> None:
    asked.trials.begin("one")
    asked.runner.answers[0].cancel()
    asked.trials.begin("one")
    assert len(asked.runner.begun) == 2


def test_a_trial_is_run_again_where_that_is_wanted(asked: Asked) -> None:
    for name in ("one", "other"):
        asked.trials.begin(name)
        asked.runner.answers[-1].set_result("old")
    asked.runner.is_instant = True
    asked.trials.run_afresh(["other", "unknown"])
    assert asked.runner.begun[2:] == [("prepared other", True), ("prepared unknown", True)]
    asked.trials.begin("one")
    assert len(asked.runner.begun) == 4


def test_at_one_path_all_trials_are_run_again(asked: Asked) -> None:
    asked.trials.begin("one")
    asked.trials.use_all_paths()
    asked.trials.begin("one")
    assert (asked.runner.is_one_path, len(asked.runner.begun)) == (False, 1)
    asked.trials.use_one_path()
    asked.trials.begin("one")
    assert (asked.runner.is_one_path, len(asked.runner.begun)) == (True, 2)
    asked.trials.use_all_paths()
    assert not asked.runner.is_one_path


ERRORS = {
    # what one trial raises: whether the others are cancelled, and whether all of the runner's are
    UnavailableError("no machine"): (False, False),
    ConfigError("wrong"): (True, False),
    CancelledError(): (True, False),
    KeyboardInterrupt(): (False, True),
}


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_when_a_trial_fails_the_others_are_cancelled_if_they_are_of_no_use(
    error: BaseException, asked: Asked
) -> None:
    asked.trials.begin("first")
    asked.runner.answers[0].set_exception(error)
    with pytest.raises(type(error)):
        asked.trials.run_all(["first", "second"])
    others, everything = ERRORS[error]
    assert [each.cancelled() for each in asked.runner.answers] == [False, others]
    assert asked.runner.is_cancelled is everything
    assert asked.runner.begun[1] == ("prepared second", False)


def test_all_trials_are_waited_for(asked: Asked) -> None:
    asked.trials.begin_ahead(["one", "other"])
    for each in asked.runner.answers:
        each.set_result("result")
    asked.trials.run_all(["one", "other"])
    assert asked.runner.begun == [("prepared one", False), ("prepared other", False)]
