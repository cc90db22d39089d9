"""Findings: what identifies them, and what `check` edited is said first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from rpw_fixture.hermeticity.findings.finding import Finding, Identity, with_edits
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Variation, steps
from tests.hermeticity.findings.sample_finding import FINDING, FINDING_AS_DICT


def test_of_many_edits_some_are_shown_and_the_others_counted() -> None:
    action = SuiteAction(name="alpha", arguments=())
    edited = [action.changed(f"line {number} is empty") for number in range(100)]
    finding = Finding(code="RPW202", summary="it differs", history=steps(*edited, action))
    *shown, rest = with_edits(finding).evidence.splitlines()
    assert shown == [f"check edited alpha: line {number} is empty" for number in range(6)]
    assert rest == "(and 94 edits more)"


def test_a_finding_of_the_environment_names_its_factor() -> None:
    varied = replace(FINDING, code="RPW209", variation=Variation(factor="umask"))
    assert varied.as_dict() == FINDING_AS_DICT | {"code": "RPW209", "factor": "umask"}
    assert replace(varied, code="RPW202").as_dict() == FINDING_AS_DICT
    line = replace(FINDING.carriers[0], changed_at="tool.py:5").as_dict()
    assert line["changed_at"] == "tool.py:5"


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (Identity("RPW202", "a", ("b", "c"), ("o", "p")), "RPW202 a after b, c (o, p)"),
        (Identity("RPW202", "", (), ()), "RPW202"),
        (Identity("RPW209", "a", (), (), "umask"), "RPW209 a on umask"),
    ],
)
def test_an_entry_of_a_baseline_is_shown_in_words(identity: Identity, text: str) -> None:
    assert str(identity) == text
