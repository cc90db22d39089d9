"""The check of one worker in pieces: each code is judged, and all of them find what one check finds."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.checks import pieces
from rpw_fixture.hermeticity.checks.check_list import CHECKS
from rpw_fixture.hermeticity.checks.facts import REPORTED
from rpw_fixture.hermeticity.findings.codes import CODES, expand
from rpw_fixture.hermeticity.suites.shards import Shard
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.report import inputs
from tests.hermeticity.reports import normal
from tests.hermeticity.samples import stage

ALL = frozenset(CODES)


@pytest.mark.parametrize("selected", [ALL, expand("RPW2"), expand("RPW203,RPW401"), frozenset()])
def test_each_code_is_judged_in_some_piece_by_all_its_checks(selected: frozenset[str]) -> None:
    groups = pieces.pieces(selected)
    runs = [pieces.checks_of([number], groups, selected) for number in range(len(groups))]
    judged = [pieces.judged(run, selected) for run in runs]
    assert frozenset().union(*judged) == selected
    for run, codes in zip(runs, judged, strict=True):
        expected = {each for each in CHECKS if codes & set(each.codes)}
        assert expected <= {*run}
    everything = pieces.checks_of(range(len(groups)), groups, selected)
    assert everything == tuple(each for each in CHECKS if each.always or selected & {*each.codes})


def test_a_piece_has_the_facts_that_its_checks_need() -> None:
    groups = pieces.pieces(ALL)
    assert len(groups) > 10
    for number in range(len(groups)):
        run = pieces.checks_of([number], groups, ALL)
        needed = {fact for each in run for fact in each.needs} - {REPORTED}
        assert {each for each in CHECKS if needed.intersection(each.shares)} <= {*run}


def test_the_shards_of_one_worker_find_together_what_a_whole_check_finds(tmp_path: Path) -> None:
    suite = load(stage(tmp_path / "suite", "leaky.py"))
    selected = expand("RPW101,RPW107,RPW108,RPW202,RPW210,RPW211")
    options = Options(selected=selected, pause=0.0, locates=False)
    whole = check(suite, options)
    paths = []
    for number in (1, 2, 3):
        part = check(suite, replace(options, shard=Shard(number, 3)))
        paths.append(tmp_path / f"{number}.json")
        paths[-1].write_text(json.dumps(part.as_dict()))
    found = inputs.read(paths)
    (merged,) = found.checks
    assert found.problems == []
    expected = whole.as_dict()
    for state in merged["checks"]:
        del state["applicable"]  # is added by the reader
    for name in ("actions", "checks", "findings"):
        assert normal(json.dumps(merged[name])) == normal(json.dumps(expected[name]))
    assert {each.code for each in whole.findings} == {"RPW202"}
