"""The order of a run of checks, what ends it early, and what the report says of what was not judged."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.errors import ConfigError, EnvironmentLacksError, Interrupted
from rpw_fixture.hermeticity import check_run as module
from rpw_fixture.hermeticity.check_run import run_checks
from rpw_fixture.hermeticity.checks.check_list import Check
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import NO_RESULT, Outcome, UnavailableError, steps
from rpw_fixture.hermeticity.trials.trial_book import OutOfTimeError

RECORDED = dict.fromkeys(("RPW402", "RPW403"), "needs a recording made by serve --record")
(STEP,) = steps(SuiteAction(name="a", arguments=()))


class Context:
    """A context whose facts the test sets, and which notes what is done with it."""

    def __init__(self) -> None:
        self.is_remote = False
        self.selected = frozenset({"RPW101", "RPW103", "RPW201", "RPW202", "RPW203", "RPW208"})
        self.usable: tuple[str, ...] = ("a",)
        self.failures: tuple[Outcome, ...] = ()
        self.skipped: dict[str, str] = {}
        self.notes: dict[str, str] = {}
        self.interruption: object = None
        self.done: list[Any] = []
        self.is_blank = False
        self.left_out: list[str] = []
        self.instability = SimpleNamespace(
            has_late_outputs=False,
            lessons=[],
            describe=lambda: self.left_out,
            is_blank=lambda _: self.is_blank,
        )
        self.suite = SimpleNamespace(actions=("a",))
        self.harness = SimpleNamespace(
            begin_ahead=lambda trials: self.done.append(("ahead", *trials)), remote=None
        )
        self.facts = SimpleNamespace(limited=lambda **_: contextlib.nullcontext())

    def skip(self, code: str, reason: str) -> None:
        self.skipped.setdefault(code, reason)

    def mark_unreproduced(self, code: str) -> None:
        self.done.append(("unreproduced", code))

    def forget_reported(self, names: frozenset[str]) -> None:
        self.done.append(("forget", names))


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Any:
    made = Context()
    monkeypatch.setattr(module, "in_order", lambda checks: checks)
    monkeypatch.setattr(module.confirming, "found", lambda given, check: check.find(given))
    monkeypatch.setattr(module.state_leaks, "stops_answering", lambda _: False)
    return made


def finding(code: str, **values: Any) -> Finding:
    return Finding(**{"code": code, "victim": "a", "summary": "x", **values})


def check(code: str, *found: Any, **values: Any) -> Check:
    """A check that notes that it runs, and yields findings or raises errors."""

    def find(context: Any) -> Iterator[Finding]:
        context.done.append(code)
        for each in found:
            if isinstance(each, BaseException):
                raise each
            yield each

    return Check((code,), find, **values)


def run(context: Any, *checks: Check) -> list[tuple[str, str]]:
    return [(each.code, each.victim) for each in run_checks(context, checks)]


def test_findings_come_worst_first_and_once(context: Any) -> None:
    findings = run(
        context,
        check("RPW203", finding("RPW203", severity=Severity.INFO), finding("RPW203", victim="b")),
        check("RPW202", finding("RPW202", severity=Severity.WARNING), finding("RPW201")),
        check("RPW201", finding("RPW201"), finding("RPW999")),
    )
    assert findings == [("RPW201", "a"), ("RPW203", "b"), ("RPW202", "a"), ("RPW203", "a")]
    assert context.done == ["RPW203", "RPW202", "RPW201"]
    assert context.skipped == RECORDED


def test_only_checks_that_are_selected_or_always_run(context: Any) -> None:
    run(context, check("RPW104"), check("RPW105", always=True), check("RPW203"))
    assert context.done == ["RPW105", "RPW203"]


def test_a_doubtful_finding_leaves_its_code_unproven(context: Any) -> None:
    run(context, check("RPW203", finding("RPW203", is_doubtful=True), finding("RPW202")))
    assert context.done == ["RPW203", ("unreproduced", "RPW203")]


@pytest.mark.parametrize(
    ("values", "is_begun"),
    [({}, True), ({"usable": ()}, False), ({"is_remote": True}, False)],
)
def test_trials_that_wait_begin_once_it_is_known_which_actions_work(
    values: dict[str, Any], is_begun: bool, context: Any
) -> None:
    vars(context).update(values)
    waiting = check("RPW203", begin=lambda given: given.done.append("begun"), needs_worker=False)
    run(context, check("RPW201", always=True, needs_worker=False), waiting)
    assert context.done == ["RPW201", *["begun"] * is_begun, "RPW203"]


@pytest.mark.parametrize(
    ("values", "is_begun"),
    [
        ({}, True),
        ({"usable": ()}, False),
        ({"failures": ("failed",)}, False),
        ({"is_remote": True}, False),
        ({"suite": SimpleNamespace(actions=range(module.LARGE))}, True),
        ({"suite": SimpleNamespace(actions=range(module.LARGE + 1))}, False),
    ],
)
def test_trials_are_asked_for_ahead_where_all_goes_well(
    values: dict[str, Any], is_begun: bool, context: Any
) -> None:
    vars(context).update(values)
    ahead = [
        check(code, ahead=lambda _, code=code: [code, "more"], needs_worker=False)
        for code in ("RPW202", "RPW203")
    ]
    run(context, check("RPW201", needs_worker=False), *ahead)
    begun = [("ahead", "RPW202", "more", "RPW203", "more")] if is_begun else []
    assert context.done == ["RPW201", *begun, "RPW202", "RPW203"]


def test_a_check_that_the_machine_does_not_support_asks_for_nothing_ahead(context: Any) -> None:
    def unavailable(_: object) -> list[Any]:
        raise UnavailableError("refused")

    ahead = check("RPW202", ahead=unavailable), check("RPW203", ahead=lambda _: ["x"])
    run(context, check("RPW201", needs_worker=False), *ahead)
    assert context.done == ["RPW201", ("ahead", "x"), "RPW202", "RPW203"]


def test_nothing_is_asked_for_ahead_after_a_finding(context: Any) -> None:
    run(context, check("RPW201", finding("RPW201")), check("RPW202", ahead=lambda _: ["x"]))
    assert context.done == ["RPW201", "RPW202"]


@pytest.mark.parametrize("error", [OutOfTimeError("time is over"), Interrupted("SIGINT", 130)])
def test_what_was_not_judged_when_the_run_ended_is_skipped(error: Exception, context: Any) -> None:
    context.notes["RPW203"] = "a note"
    found = run(
        context,
        check("RPW201", finding("RPW201")),
        check("RPW202", finding("RPW202"), error),
        check("RPW203"),
    )
    assert found == [("RPW201", "a"), ("RPW202", "a")]
    assert context.done == ["RPW201", "RPW202"]
    assert context.skipped == RECORDED | {"RPW202": str(error), "RPW203": f"{error}; a note"}
    assert context.interruption is (error if isinstance(error, Interrupted) else None)


def test_a_check_that_is_not_possible_is_skipped_alone(context: Any) -> None:
    run(context, check("RPW202", UnavailableError("no tool")), check("RPW203"))
    assert context.skipped == RECORDED | {"RPW202": "no tool"}
    assert context.done == ["RPW202", "RPW203"]


def test_without_a_worker_that_works_most_checks_are_skipped(
    context: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    context.usable = ()
    run(context, check("RPW101"), check("RPW203"), check("RPW208", needs_worker=False))
    assert context.done == ["RPW208"]
    assert context.skipped == RECORDED | {"RPW203": "no action works on a fresh worker"}
    context.usable, context.skipped = ("a",), {}
    monkeypatch.setattr(module.state_leaks, "stops_answering", lambda _: True)
    run(context, check("RPW202", needs_answers=True), check("RPW203"))
    assert context.done == ["RPW208", "RPW203"]
    assert context.skipped["RPW202"] == "a warm worker stops answering (RPW102)"


@pytest.mark.parametrize(
    ("always", "code"), [(False, "RPW203"), (True, "RPW203"), (False, "RPW101")]
)
def test_findings_that_rest_on_unstable_results_are_judged_again(
    always: bool, code: str, context: Any
) -> None:
    answers = [[finding(code), finding(code, victim="b")], [finding(code, outputs=("o",))]]

    def find(given: Any) -> Iterator[Finding]:
        given.done.append("judged")
        yield from answers.pop(0)

    def learn(given: Any) -> Iterator[Finding]:
        given.instability.lessons.append("a")
        yield from ()

    found = run_checks(context, (Check((code,), find, always=always), Check(("RPW202",), learn)))
    is_again = not always and code == "RPW203"
    assert context.done == ["judged", *[("forget", frozenset("a")), "judged"] * is_again]
    expected = {("b", ()), ("a", ("o",) if is_again else ())}
    assert {(each.victim, each.outputs) for each in found} == expected


def test_what_is_unstable_is_noted_for_codes_that_compare(context: Any) -> None:
    context.left_out = [f"part {number}" for number in range(6)]
    context.notes["RPW203"] = "own"
    run(context, check("RPW203"))
    text = "left out, because fresh workers differ in it: " + "; ".join(context.left_out)
    assert context.notes["RPW203"] == f"own; {text}"
    assert context.notes["RPW202"] == text
    assert "RPW101" not in context.notes
    assert context.skipped == RECORDED

    context.left_out.append("part 6")
    context.notes.clear()
    context.is_blank = True
    run(context, check("RPW203"))
    assert context.notes["RPW203"] == f"{text} and 1 more"
    assert context.skipped["RPW203"] == f"nothing is left to compare; {text} and 1 more"

    context.instability.has_late_outputs = True
    context.notes.clear()
    run(context, check("RPW203"))
    late = text.replace("differ in it", "differ in it or write it late")
    assert context.notes["RPW203"] == f"{late} and 1 more"


@pytest.mark.parametrize(
    ("failure", "is_remote", "kind", "text"),
    [
        (NO_RESULT, False, EnvironmentLacksError, "no action has a result: a: cause"),
        (NO_RESULT, True, ConfigError, "no action works on a fresh worker: a: "),
        ("crash", False, ConfigError, "a: .* crash: cause; its stderr ends with: last$"),
    ],
)
def test_a_suite_of_which_no_action_works_is_refused(
    failure: str, is_remote: bool, kind: type[Exception], text: str, context: Any
) -> None:
    outcome = Outcome(
        step=STEP, exit_code=None, response="", failure=failure, detail="cause\nmore",
        stderr="first\nlast\n",
    )  # fmt: skip
    context.usable, context.failures = (), (outcome,)
    context.is_remote = is_remote
    with pytest.raises(kind, match=text):
        run(context, check("RPW203", needs_worker=False))
    assert run(context, check("RPW203", finding("RPW203"), needs_worker=False)) == [("RPW203", "a")]
    context.selected = frozenset()
    assert run(context, check("RPW201", always=True, needs_worker=False)) == []
