"""A leak between two of many actions is found within the time limit, and only those two are blamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.checks import large_suites, pieces
from rpw_fixture.hermeticity.checks.check_list import CHECKS, Check
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite_file import load
from rpw_fixture.hermeticity.trials.trial_book import OutOfTimeError
from tests.hermeticity.samples import stage

COUNT = 120
HEADERS = [f"h{number:03}" for number in range(COUNT)]
POLLUTER, VICTIM = HEADERS[37], HEADERS[88]
LEAK = f"""
    text = request.expanded_arguments()
    if {POLLUTER!r} in text:
        seen.append(1)
    if {VICTIM!r} in text and seen:
        request.arguments = [*text, "--header", "leaked"]
"""


def large_suite(folder: Path, leak: str = LEAK) -> Path:
    """Write a suite of many actions that are alike, with a worker whose state two of them share."""
    suite = stage(folder, "good.py", headers=HEADERS)
    worker = suite.parent / "tools" / "good.py"
    text = worker.read_text()
    begin = "    options = Options(request"
    assert begin in text
    text = text.replace(begin, f"{leak}\n{begin}", 1)
    worker.write_text(text.replace("_CACHE_ENTRIES = 256", "_CACHE_ENTRIES = 256\nseen = []"))
    return suite


def test_a_leak_between_two_of_many_actions_is_found(tmp_path: Path) -> None:
    suite = large_suite(tmp_path / "suite")
    report = check(load(suite), Options(selected=frozenset(["RPW202"]), pause=0.0))
    (finding,) = report.findings
    assert (finding.code, finding.victim, finding.polluters) == ("RPW202", VICTIM, (POLLUTER,))
    assert report.worker_starts < COUNT
    (state,) = report.checks
    assert state.reason.startswith(f"{COUNT} of {COUNT} actions on a warm worker, in the recorded")


def test_many_good_actions_are_clean_and_the_report_says_what_more_time_adds(
    tmp_path: Path,
) -> None:
    suite = large_suite(tmp_path / "suite", leak="")
    report = check(
        load(suite), Options(selected=frozenset(["RPW202"]), pause=0.0, max_seconds=150.0)
    )
    assert report.findings == ()
    (state,) = report.checks
    assert state.reason.endswith("twice the --max-seconds takes twice as many of each kind")


def test_a_leak_that_there_was_no_time_to_explain_is_mentioned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(large_suites, "blame", lambda context, _found: out_of_time(context))
    suite = load(large_suite(tmp_path / "suite"))
    (state,) = check(suite, Options(selected=frozenset(["RPW202"]))).checks
    assert state.status == "skipped"
    assert "; 1 result differed" in state.reason


def test_a_check_that_runs_out_of_time_says_what_was_covered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (large,) = (each for each in CHECKS if each.find is large_suites.find)
    monkeypatch.setattr(pieces, "CHECKS", (CHECKS[0], large, Check(("RPW202",), out_of_time)))
    suite = load(large_suite(tmp_path / "suite", leak=""))
    (state,) = check(suite, Options(selected=frozenset(["RPW202"]))).checks
    assert state.status == "skipped"
    assert state.reason.startswith(f"no time is left; {COUNT} of {COUNT} actions on a warm worker")


def out_of_time(_context: CheckContext) -> Iterator[Finding]:
    raise OutOfTimeError("no time is left")
