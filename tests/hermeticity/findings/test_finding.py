"""How reports of several workers become one."""

from __future__ import annotations

import pytest

from rpw_fixture.hermeticity.findings.finding import (
    CheckState,
    Finding,
    Report,
    Status,
    merged,
    with_edits,
)
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import steps

OUT_OF_TIME = CheckState(code="RPW202", status=Status.SKIPPED, reason="the time limit is reached")
NOT_MEANT = CheckState(
    code="RPW202", status=Status.SKIPPED, reason="the suite does not say multiplex = true"
)
PASSED = CheckState(code="RPW202", status=Status.PASSED)
FAILED = CheckState(code="RPW202", status=Status.FAILED)


def merge(*states: CheckState) -> CheckState:
    reports = [Report(actions=1, checks=(each,), findings=()) for each in states]
    (state,) = merged(reports).checks
    return state


def test_a_code_that_one_worker_was_not_checked_for_has_not_passed() -> None:
    state = merge(PASSED, OUT_OF_TIME)
    assert state.status is Status.SKIPPED
    assert state.reason == "the time limit is reached (passed for 1 of 2 workers)"
    assert state.is_applicable


@pytest.mark.parametrize("states", [(PASSED, NOT_MEANT), (NOT_MEANT, PASSED)])
def test_a_worker_to_which_a_code_does_not_apply_does_not_count(
    states: tuple[CheckState, ...],
) -> None:
    assert merge(*states) == PASSED


def test_a_failure_outweighs_everything() -> None:
    assert merge(OUT_OF_TIME, FAILED, PASSED) == FAILED


def test_what_applies_to_no_worker_stays_so() -> None:
    assert merge(NOT_MEANT, NOT_MEANT) == NOT_MEANT


def test_of_many_edits_some_are_shown_and_the_others_counted() -> None:
    action = SuiteAction(name="alpha", arguments=())
    edited = [action.changed(f"line {number} is empty") for number in range(100)]
    finding = Finding(code="RPW202", summary="it differs", history=steps(*edited, action))
    *shown, rest = with_edits(finding).evidence.splitlines()
    assert shown == [f"check edited alpha: line {number} is empty" for number in range(6)]
    assert rest == "(and 94 edits more)"
