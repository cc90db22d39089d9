"""Trials that a cluster was asked for: each once, and what becomes of the others when one fails."""

from __future__ import annotations

from concurrent.futures import CancelledError, Future
from pathlib import Path
from typing import Any

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.trials.far import asked_trials as module
from rpw_fixture.hermeticity.trials.far.asked_trials import AskedTrials
from rpw_fixture.hermeticity.trials.trial import UnavailableError


class Runner:
    """A cluster whose answers the test gives."""

    def __init__(self, *_: object, **_options: object) -> None:
        self.begun: list[tuple[str, bool]] = []
        self.answers: list[Future[Any]] = []
        self.is_cancelled = self.is_one_path = False

    def begin(self, trial: str, *, before: Any, done: Any, is_fresh: bool) -> Future[Any]:
        before()
        self.begun.append((trial, is_fresh))
        self.answers.append(Future())
        self.answers[-1].add_done_callback(lambda each: each.cancelled() or done(each))
        return self.answers[-1]

    def cancel(self) -> None:
        self.is_cancelled = True


class Asked:
    """Trials by name, and what the harness is called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "ExecutorRunner", Runner)
        self.calls: list[object] = []
        nothing: Any = None
        harness: Any = (
            lambda trial: f"prepared {trial}",
            lambda: self.calls.append("before"),
            lambda trial, _: self.calls.append(f"kept {trial}"),
        )
        self.trials: Any = AskedTrials(
            nothing, nothing, nothing, home=Path("/x"), jobs=1, is_fresh=True, harness=harness
        )
        self.runner: Runner = self.trials.runner


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    return Asked(monkeypatch)


def test_a_trial_is_asked_for_once(asked: Asked) -> None:
    one = asked.trials.ask("one")
    assert asked.trials.ask("one", is_fresh=True) is one
    asked.trials.ask("other", is_fresh=True)
    assert asked.runner.begun == [("prepared one", False), ("prepared other", True)]
    one.set_result("result")
    assert asked.trials.ask("one") is one
    assert asked.calls == ["before", "before", "kept one"]


def test_a_trial_that_was_cancelled_or_forgotten_is_asked_for_again(asked: Asked) -> None:
    one, other = asked.trials.ask("one"), asked.trials.ask("other")
    one.cancel()
    assert asked.trials.ask("one") is not one
    asked.trials.forget(["other", "unknown"])
    again = asked.trials.ask("other")
    assert again is not other
    asked.trials.forget([])
    assert asked.trials.ask("other") is again
    asked.trials.forget()
    assert asked.trials.ask("other") is not again


@pytest.mark.parametrize("enabled", [False, True])
def test_at_one_path_all_trials_are_run_again(enabled: bool, asked: Asked) -> None:
    one = asked.trials.ask("one")
    asked.trials.use_one_path(enabled=enabled)
    assert asked.runner.is_one_path is enabled
    assert (asked.trials.ask("one") is one) is not enabled


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
    first = asked.trials.ask("first")
    first.set_exception(error)
    with pytest.raises(type(error)):
        asked.trials.wait_for(["first", "second"], is_fresh=True)
    others, everything = ERRORS[error]
    assert [each.cancelled() for each in asked.runner.answers] == [False, others]
    assert asked.runner.is_cancelled is everything
    assert asked.runner.begun[1] == ("prepared second", True)


def test_all_trials_are_waited_for(asked: Asked) -> None:
    for name in ("one", "other"):
        asked.trials.ask(name).set_result(name)
    asked.trials.wait_for(["one", "other"])
    assert asked.runner.begun == [("prepared one", False), ("prepared other", False)]
