"""Reports: the state of a code over several workers, values for JSON, and places of findings."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from rpw_fixture.hermeticity.findings.accesses import InputAccess
from rpw_fixture.hermeticity.findings.codes import CODES, Severity
from rpw_fixture.hermeticity.findings.finding import Identity
from rpw_fixture.hermeticity.findings.report import (
    CachePoisoning,
    CheckState,
    Growth,
    Report,
    Status,
    merged,
)
from rpw_fixture.hermeticity.suites.suite import Place
from tests.hermeticity.findings.sample_finding import FINDING, FINDING_AS_DICT

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


REPORT = Report(
    actions=2, checks=(PASSED,), findings=(FINDING,), worker_starts=3, requests=4, seconds=1.23456
)
REPORT_AS_DICT = {
    "schema": 1,
    "actions": 2,
    "checks": [
        {"code": "RPW202", "name": CODES["RPW202"].name, "status": "passed", "reason": ""},
    ],
    "findings": [FINDING_AS_DICT],
    "worker_starts": 3,
    "requests": 4,
    "seconds": 1.235,
    "trials": 0,
    "trials_run": 0,
}
#: What a report has besides: fields of the value, and what that is for JSON.
BESIDES: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "nothing": ({}, {}),
    "accepted": ({"accepted": (FINDING,)}, {"accepted": [FINDING_AS_DICT]}),
    "growth": (
        {"growth": (Growth(action="alpha", resource="memory", values=(1, 2), limit=None),)},
        {"growth": [{"action": "alpha", "resource": "memory", "values": [1, 2], "limit": None}]},
    ),
    "accesses": (
        {"accesses": (InputAccess(action="alpha", read=("in",), unread=()),)},
        {"accesses": [{"action": "alpha", "read": ["in"], "unread": []}]},
    ),
    "poisoning": (
        {"poisoning": CachePoisoning(entries=3, actions=("alpha",))},
        {"cache_poisoning": {"entries": 3, "wrong": 1, "actions": ["alpha"]}},
    ),
    "no poisoning": (
        {"poisoning": CachePoisoning(entries=0, reason="why")},
        {"cache_poisoning": {"entries": 0, "wrong": 0, "actions": [], "reason": "why"}},
    ),
    "stale": (
        {"stale": (Identity("RPW202", "alpha", ("beta",), ()),)},
        {
            "stale_baseline": [
                {"code": "RPW202", "victim": "alpha", "polluters": ("beta",), "outputs": ()}
                | {"factor": ""}
            ]
        },
    ),
    "shard": (
        {"shard": "1/2", "counted_elsewhere": 1},
        {"shard": "1/2", "counted_elsewhere": 1},
    ),
}


@pytest.mark.parametrize("case", BESIDES)
def test_a_report_has_a_value_for_json(case: str) -> None:
    fields, expected = BESIDES[case]
    found = replace(REPORT, **fields).as_dict()
    assert found == REPORT_AS_DICT | expected
    assert list(found)[: len(REPORT_AS_DICT)] == list(REPORT_AS_DICT)
    assert json.loads(json.dumps(found)).keys() == found.keys()


def test_a_report_fails_for_errors_alone() -> None:
    assert REPORT.has_errors
    assert not replace(REPORT, findings=()).has_errors
    assert not replace(REPORT, findings=(replace(FINDING, severity=Severity.WARNING),)).has_errors


def test_a_finding_stands_where_its_victim_is_defined_or_the_worker() -> None:
    here, worker = Place("suite.toml", 5), Place("suite.toml", 1)
    for places, expected in (
        ({"alpha": here, "": worker}, here),
        ({"beta": here, "": worker}, worker),
        ({}, None),
    ):
        assert replace(REPORT, places=places).place_of(FINDING) == expected
