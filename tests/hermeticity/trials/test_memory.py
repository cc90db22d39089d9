"""What a result says about other trials."""

from dataclasses import replace

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.harness import cold
from rpw_fixture.hermeticity.trials.memory import TrialMemory
from rpw_fixture.hermeticity.trials.trial import (
    Ending,
    Outcome,
    Result,
    RunMode,
    Trial,
    Variation,
    steps,
)

ONE, OTHER = (SuiteAction(name=name, arguments=()) for name in ("one", "other"))
LONG = Trial(history=steps(ONE, OTHER, ONE))


def result_of(trial: Trial, exit_code: int = 0, began: float = 1.0) -> Result:
    outcomes = tuple(Outcome(step=each, exit_code=exit_code) for each in trial.history)
    return Result(outcomes=outcomes, ending=Ending(unterminated=1), began=began)


def test_a_longer_history_answers_for_its_beginnings() -> None:
    memory = TrialMemory()
    memory.keep(LONG, result_of(LONG))
    found = memory.find(Trial(history=steps(ONE, OTHER)))
    assert found is not None
    assert [each.step.action for each in found.outcomes] == [ONE, OTHER]
    assert memory.find(Trial(history=steps(OTHER))) is None
    assert memory.find(Trial(history=steps(ONE, ONE))) is None


def test_more_observation_answers_for_less_but_not_the_other_way_round() -> None:
    memory = TrialMemory()
    watched = replace(LONG, is_watched=True, is_measured=True, lingers=True, eof_patience=5.0)
    memory.keep(watched, result_of(watched))
    found = memory.find(LONG)
    assert found is not None
    assert found == result_of(LONG)
    assert memory.find(replace(LONG, is_watched=True)) is None


def test_the_record_of_a_longer_history_is_not_that_of_its_beginning() -> None:
    memory = TrialMemory()
    traced = replace(LONG, variation=Variation(factor="strace", prefix=("strace",)))
    memory.keep(traced, replace(result_of(traced), trace="/trace"))
    assert memory.find(traced) is not None
    assert memory.find(replace(traced, history=steps(ONE))) is None


def test_other_surroundings_are_other_trials() -> None:
    memory = TrialMemory()
    others = (
        replace(LONG, mode=RunMode.OVERLAPPING),
        replace(LONG, variation=Variation(factor="TZ", environment=(("TZ", "UTC"),))),
        replace(LONG, started_with=OTHER),
        replace(LONG, run=1),
        replace(LONG, timeout=1.0),
    )
    for each in others:
        memory.keep(each, result_of(each))
    assert memory.find(cold(ONE)) is None
    assert memory.find(LONG) is None


def test_the_first_result_of_a_beginning_is_kept() -> None:
    memory = TrialMemory()
    memory.keep(cold(ONE), result_of(cold(ONE), exit_code=7))
    memory.keep(LONG, result_of(LONG))
    found = memory.find(cold(ONE))
    assert found is not None
    assert found.outcomes[0].exit_code == 7


def test_first_answers_are_those_of_fresh_workers_in_usual_surroundings() -> None:
    memory = TrialMemory()
    elsewhere = replace(LONG, variation=Variation(factor="TZ", environment=(("TZ", "UTC"),)))
    memory.keep(cold(ONE), result_of(cold(ONE)))
    memory.keep(LONG, result_of(LONG, exit_code=3, began=2.0))
    memory.keep(elsewhere, result_of(elsewhere, began=3.0))
    found = memory.first_answers(steps(ONE)[0])
    assert [(each.began, each.outcome.exit_code) for each in found] == [(1.0, 0), (2.0, 3)]
    assert memory.first_answers(steps(OTHER)[0]) == ()
    memory.forget()
    assert memory.first_answers(steps(ONE)[0]) == ()
    assert memory.find(LONG) is None
