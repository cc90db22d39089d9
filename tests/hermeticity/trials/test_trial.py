"""Values of trials: what they are when nothing else is said, and what is derived from them."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials import trial as module
from rpw_fixture.hermeticity.trials.experiment import Change, Experiment, Growing, Observation
from rpw_fixture.hermeticity.trials.trial import (
    EXIT_CODE,
    RESPONSE,
    Earlier,
    Ending,
    Holding,
    Outcome,
    Predecessor,
    Result,
    RunMode,
    Step,
    Trial,
    Variation,
    differing,
    steps,
)

A, B = (SuiteAction(name=name, arguments=()) for name in "ab")
KINDS = (
    *(Change, Experiment, Growing, Observation, Earlier, Ending, Holding, Outcome, Predecessor),
    *(Result, Step, Trial, Variation),
)
#: What stands for "nothing special" and yet is not false, empty or 0.
USUAL: dict[str, Any] = {
    "Ending.is_by_itself": True,
    "Trial.eof_patience": 0.25,
    "Trial.mode": RunMode.WORKER,
    "Variation.root": "root",
    "Variation.home": "home",
    "Variation.temporary": "tmp",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_is_not_given_is_nothing_special(kind: Any) -> None:
    for each in dataclasses.fields(kind):
        made = each.default_factory is not dataclasses.MISSING
        default = each.default_factory() if made else each.default  # type: ignore[misc]
        if default is dataclasses.MISSING:
            continue
        name = f"{kind.__name__}.{each.name}"
        if name in USUAL:
            assert default == USUAL[name]
        elif dataclasses.is_dataclass(default):
            assert default == type(default)()  # type: ignore[misc]
        elif isinstance(default, module.Enum):
            assert default is next(iter(type(default))), name  # the first one is the usual one
        else:
            assert not default, name


@pytest.mark.parametrize(
    ("mode", "earlier", "starts"),
    [
        (RunMode.WORKER, 0, 1),
        (RunMode.OVERLAPPING, 2, 3),
        (RunMode.ONE_SHOT, 0, 3),
        (RunMode.ONE_SHOT, 1, 4),
        (RunMode.HELD, 0, 1),
    ],
)
def test_a_trial_starts_so_many_processes(mode: RunMode, earlier: int, starts: int) -> None:
    predecessors = (Predecessor(history=steps(A)),) * earlier
    assert Trial(history=steps(A, B, A), mode=mode, predecessors=predecessors).starts == starts


@pytest.mark.parametrize(
    ("count", "failure", "expected"), [(2, "", False), (1, "", True), (1, "crash", False)]
)
def test_a_trial_is_cut_short_when_requests_were_left_out(
    count: int, failure: str, expected: bool
) -> None:
    trial = Trial(history=steps(A, B))
    outcomes = [Outcome(step=each, exit_code=0, response="") for each in trial.history[:count]]
    outcomes[-1] = dataclasses.replace(outcomes[-1], failure=failure)
    assert trial.is_cut_short(outcomes) is expected


def test_outcomes_differ_in_aspects() -> None:
    (step,) = steps(A)
    one = Outcome(step=step, exit_code=0, response="x", outputs={"a": "1", "b": "2"})
    assert differing(one, one) == []
    for change, names in (
        ({"exit_code": 1}, [EXIT_CODE]),
        ({"response": "y"}, [RESPONSE]),
        ({"failure": "crash", "exit_code": None}, [EXIT_CODE]),
        ({"outputs": {"a": "1", "b": "3"}}, ["b"]),
        ({"outputs": {"a": "1", "c": "2"}}, ["b", "c"]),
        ({"stderr": "x", "strays": ("s",), "changed_inputs": ("i",)}, []),
    ):
        other = dataclasses.replace(one, **change)
        assert differing(one, other) == differing(other, one) == names
        assert differing(one, other, frozenset(names)) == []


@pytest.mark.parametrize(
    ("exit_code", "failure", "wanted", "expected"),
    [
        (0, "", 0, True),
        (1, "", 0, False),
        (1, "", 1, True),
        (None, "crash", 0, False),
        (0, "x", 0, False),
    ],
)
def test_an_outcome_is_as_its_action_expects(
    exit_code: int | None, failure: str, wanted: int, expected: bool
) -> None:
    (step,) = steps(SuiteAction(name="a", arguments=(), exit_code=wanted))
    outcome = Outcome(step=step, exit_code=exit_code, response="", failure=failure)
    assert outcome.is_as_expected is expected
