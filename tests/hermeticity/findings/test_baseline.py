"""Files of accepted findings: read, written, brought up to date, and refused when they are none."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from rpw_fixture.errors import ConfigError, EnvironmentLacksError, Interrupted
from rpw_fixture.hermeticity.findings import baseline
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.report import CheckState, Report, Status
from rpw_fixture.hermeticity.trials.trial import Variation

LEAK = Finding(
    code="RPW202", summary="it leaks: é", victim="a", polluters=("b", "c"), outputs=("out",)
)
OTHER = Finding(code="RPW209", summary="it varies", victim="a", variation=Variation(factor="HOME"))
INFO = Finding(code="RPW202", summary="by the way", victim="z", severity=Severity.INFO)


def report(*findings: Finding, accepted: tuple[Finding, ...] = ()) -> Report:
    checks = tuple(CheckState(code=code, status=Status.PASSED) for code in ("RPW202", "RPW209"))
    return Report(actions=1, checks=checks, findings=findings, accepted=accepted)


def test_what_is_written_is_accepted_and_infos_are_not_written(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    baseline.write(path, [LEAK, OTHER, INFO])
    assert baseline.read(path) == {baseline.identity(LEAK), baseline.identity(OTHER)}
    assert "é" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8")) == {
        "schema": 1,
        "accepted": [
            {
                "code": "RPW202",
                "victim": "a",
                "polluters": ["b", "c"],
                "outputs": ["out"],
                "summary": "it leaks: é",
            },
            {
                "code": "RPW209",
                "victim": "a",
                "polluters": [],
                "outputs": [],
                "factor": "HOME",
                "summary": "it varies",
            },
        ],
    }


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b"7", b'{"accepted": [7]}', b'{"accepted": [{}]}', b"\xff"]
)
def test_what_is_no_baseline_is_refused_with_the_way_to_get_one(
    content: bytes, tmp_path: Path
) -> None:
    path = tmp_path / "baseline.json"
    path.write_bytes(content)
    for use in (lambda: baseline.read(path), lambda: baseline.update(path, report())):
        with pytest.raises(ConfigError, match="not a baseline file; write one with --write"):
            use()


def test_files_that_can_not_be_read_or_written_are_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"--baseline .*absent: No such file"):
        baseline.read(tmp_path / "absent")
    with pytest.raises(EnvironmentLacksError, match=r"--write-baseline .*No such file"):
        baseline.write(tmp_path / "absent/file", [])
    with pytest.raises(EnvironmentLacksError, match=r"--update-baseline .*No such file"):
        baseline.update(tmp_path / "absent/file", report())


def test_an_entry_is_stale_if_its_code_was_judged_and_nothing_matched() -> None:
    accepted = [baseline.identity(each) for each in (OTHER, LEAK)]
    assert baseline.find_stale(accepted, report()) == tuple(sorted(accepted))
    assert baseline.find_stale(accepted, report(LEAK, accepted=(OTHER,))) == ()
    unjudged = replace(report(), unjudged=frozenset({"RPW202"}))
    assert baseline.find_stale(accepted, unjudged) == (baseline.identity(OTHER),)
    interrupted = replace(report(), interruption=Interrupted("SIGINT", 130))
    assert baseline.find_stale(accepted, interrupted) == ()


def test_an_update_adds_what_is_new_and_removes_what_is_stale(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    baseline.update(path, report(LEAK, INFO))
    assert baseline.read(path) == {baseline.identity(LEAK)}
    baseline.update(path, report(OTHER))
    assert baseline.read(path) == {baseline.identity(LEAK), baseline.identity(OTHER)}
    stale = replace(report(OTHER), stale=(baseline.identity(LEAK),))
    baseline.update(path, stale)
    assert baseline.read(path) == {baseline.identity(OTHER)}
    assert len(json.loads(path.read_text(encoding="utf-8"))["accepted"]) == 1
