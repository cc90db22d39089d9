"""Cancels among overlapping requests, of a held request, of another action; unfinished requests at EOF."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.codes import expand
from rpw_fixture.hermeticity.suites.suite_file import load
from tests.hermeticity.samples import run, stage

ABILITIES = "multiplex = true\ncancellation = true\ntimeout = 3"
CODES = "RPW110,RPW111,RPW117,RPW213"


@pytest.mark.parametrize(
    ("bug", "words"),
    [
        ("neighbours", " is cancelled among overlapping requests: "),
        ("leftovers", "was cancelled: the next request gives a different result"),
    ],
)
@pytest.mark.parametrize("sandbox", ["", "\nsandbox = true"], ids=["shared root", "sandboxes"])
def test_a_cancel_that_harms_another_request_is_found(
    tmp_path: Path, bug: str, words: str, sandbox: str
) -> None:
    suite = stage(
        tmp_path / "suite",
        "cancels_badly.py",
        f"--bug={bug}",
        worker=f"{ABILITIES}{sandbox}",
        headers=("alpha", "beta", "gamma"),
    )
    (finding,) = run(suite, CODES).findings
    assert finding.code == "RPW110"
    assert words in finding.summary


def test_a_request_that_is_answered_again_at_its_end_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "cancels_badly.py", "--bug=twice", worker=ABILITIES)
    (finding,) = run(suite, CODES).findings
    assert finding.code == "RPW110"
    words = ("the worker answered twice", "was written after the response")
    assert any(each in finding.summary for each in words)


@pytest.mark.parametrize(
    "worker", [ABILITIES, f"{ABILITIES}\nsandbox = true"], ids=["shared root", "sandboxes"]
)
def test_a_worker_that_keeps_its_requests_apart_is_clean(tmp_path: Path, worker: str) -> None:
    report = run(stage(tmp_path / "suite", "multiplex.py", worker=worker), f"{CODES},RPW106")
    assert report.findings == ()


def test_a_worker_that_does_not_end_while_requests_are_unfinished_is_found(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "cancels_badly.py", "--bug=unfinished", worker=ABILITIES)
    options = Options(selected=expand("RPW106,RPW112"), eof_patience=0.5, pause=0.0)
    (finding,) = check(load(suite), options).findings
    assert finding.code == "RPW106"
    assert finding.summary.startswith("with 2 unfinished requests, the worker still runs ")


def test_a_singleplex_worker_ends_with_an_unfinished_request(tmp_path: Path) -> None:
    assert run(stage(tmp_path / "suite", "good.py"), "RPW106,RPW112").findings == ()
