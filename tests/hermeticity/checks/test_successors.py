"""A worker in the place of another: which results are suspects, what shows them again, how bad it is."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.hermeticity.checks import successors
from rpw_fixture.hermeticity.checks.successors import SuspectVictim
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Outcome, Predecessor, Trial, steps

A, B = steps(*(SuiteAction(name=name, arguments=()) for name in "ab"))
EARLIER = (Predecessor(history=(B,)),)


def outcome(step: Any, response: str = "", **values: Any) -> Outcome:
    return Outcome(step=step, exit_code=0, response=response, **values)


class Context:
    """Results of trials by their history, in a fresh place and in that of others."""

    def __init__(self) -> None:
        self.fresh: dict[Any, str] = {}
        self.placed: dict[Any, str] = {}
        self.asked: list[Trial] = []
        self.harness = SimpleNamespace(book=SimpleNamespace(ignores_eof=False))
        self.eof_patience = 7.0
        self.cut: set[bool] = set()

    def run(self, trial: Trial) -> Any:
        self.asked.append(trial)
        is_placed = bool(trial.predecessors)
        texts = self.placed if is_placed else self.fresh
        outcomes = [outcome(each, texts.get(trial.history, "usual")) for each in trial.history]
        return SimpleNamespace(outcomes=outcomes[: len(outcomes) - (is_placed in self.cut)])

    def cold(self, action: SuiteAction) -> Outcome:
        (step,) = steps(action)
        return outcome(step, "usual")

    def differing(self, one: Outcome, other: Outcome) -> list[str]:
        return [RESPONSE] if one.response != other.response else []

    def explain(self, *given: Any) -> str:
        return f"evidence of {given[2]} {given[3][0]}"


@pytest.fixture
def context() -> Any:
    return Context()


def suspect(**values: Any) -> SuspectVictim:
    usual = {"victim": A, "before": (B,), "usual": outcome(A, "usual"), "found": outcome(A, "odd")}
    return SuspectVictim(**{**usual, "aspects": (RESPONSE,), **values})


def test_what_differs_from_a_fresh_place_is_a_suspect(context: Any) -> None:
    found = [outcome(A, "usual"), outcome(B, "odd"), outcome(A, "odd")]
    suspects = list(successors.suspects(context, found))
    assert [(each.victim, each.before, each.aspects) for each in suspects] == [
        (B, (A,), (RESPONSE,)),
        (A, (A, B), (RESPONSE,)),
    ]
    assert suspects[0].found is found[1]
    assert suspects[0].usual.response == "usual"


def test_a_worker_that_leaks_state_anyway_is_no_suspect(context: Any) -> None:
    context.fresh[(B, A)] = "odd"
    assert list(successors.suspects(context, [outcome(B, "usual"), outcome(A, "odd")])) == []
    context.fresh.clear()
    context.cut = {False}  # the worker did not answer all
    assert list(successors.suspects(context, [outcome(A, "odd")])) == []


def test_the_shortest_history_that_shows_it_again_is_taken(context: Any) -> None:
    context.placed = {(A,): "odd", (B, A): "odd"}
    shown = successors.reproducing(context, suspect(), EARLIER, 2)
    assert shown == successors.trial(context, (A,), EARLIER, 2)
    context.placed = {(B, A): "odd"}
    shown = successors.reproducing(context, suspect(), EARLIER)
    assert shown == successors.trial(context, (B, A), EARLIER)
    result = successors.reproduced(context, suspect(), EARLIER)
    assert result is not None
    assert result.outcomes[-1].response == "odd"
    context.placed = {}
    assert successors.reproducing(context, suspect(), EARLIER) is None
    assert successors.reproduced(context, suspect(), EARLIER) is None
    context.placed = {(A,): "odd"}
    assert successors.reproducing(context, suspect(aspects=("out",)), EARLIER) is None


@pytest.mark.parametrize("cut", [{True}, {False}])
def test_a_worker_that_does_not_answer_all_shows_nothing(cut: set[bool], context: Any) -> None:
    context.placed = {(A,): "odd", (B, A): "odd"}
    context.cut = cut
    assert successors.reproducing(context, suspect(), EARLIER) is None


def test_a_history_is_tried_once(context: Any) -> None:
    assert successors.reproducing(context, suspect(before=()), EARLIER) is None
    assert len(context.asked) == 2


@pytest.mark.parametrize(("ignores_eof", "patience"), [(True, 0.25), (False, 7.0)])
def test_earlier_workers_get_time_to_end(ignores_eof: bool, patience: float, context: Any) -> None:
    context.harness.book.ignores_eof = ignores_eof
    found = successors.trial(context, (A,), EARLIER, 3)
    assert (found.eof_patience, found.run, found.predecessors) == (patience, 3, EARLIER)


@pytest.mark.parametrize(
    ("aspects", "is_doubtful", "severity"),
    [
        ((RESPONSE,), False, Severity.WARNING),
        (("output out",), False, Severity.ERROR),
        ((RESPONSE, "output out"), False, Severity.ERROR),
        ((RESPONSE,), True, Severity.INFO),
        (("output out",), True, Severity.INFO),
    ],
)
def test_another_text_is_less_bad_than_another_output(
    aspects: tuple[str, ...], is_doubtful: bool, severity: Severity, context: Any
) -> None:
    found = successors.finding(
        context,
        suspect(aspects=aspects),
        code="RPW113",
        polluters=(B,),
        how="after a kill",
        is_doubtful=is_doubtful,
    )
    assert (found.severity, found.is_doubtful) == (severity, is_doubtful)
    assert (found.victim, found.polluters, found.history) == ("a", ("b",), (B, A))
    assert found.summary.startswith("after a kill, a gives a different result in a fresh worker")
    assert found.summary.endswith("; seen once, not reproduced") is is_doubtful
    assert found.evidence == f"evidence of {list(aspects)} fresh worker in a fresh place"


@pytest.mark.parametrize(
    ("failure", "stderr", "tail"),
    [
        ("crash", " oops\n", "\nworker's stderr: oops"),
        ("crash", "x" * 2000, f"\nworker's stderr: {'x' * 1000}"),
        ("crash", " \n", ""),
        ("", "oops", ""),
    ],
)
def test_what_a_failed_worker_wrote_is_evidence(
    failure: str, stderr: str, tail: str, context: Any
) -> None:
    odd = outcome(A, "odd", failure=failure, stderr=stderr)
    found = successors.finding(
        context, suspect(found=odd), code="RPW113", polluters=(), how="x", shown=Trial(history=(A,))
    )
    assert found.evidence == f"evidence of {[RESPONSE]} fresh worker in a fresh place{tail}"
    assert found.trial == Trial(history=(A,))
