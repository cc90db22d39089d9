"""Workers that ignore ``sandbox_dir`` (RPW116), or serve one request after the other (RPW117)."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.report import Status
from tests.hermeticity.samples import run, stage

SANDBOX = "multiplex = true\nsandbox = true"
CODES = "RPW111,RPW116,RPW117,RPW118,RPW213"


@pytest.mark.parametrize("arguments", [(), ("--half",)], ids=["all", "outputs"])
def test_a_worker_that_ignores_its_sandbox_is_found_under_one_code(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    suite = stage(tmp_path / "suite", "ignores_sandbox.py", *arguments, worker=SANDBOX)
    report = run(suite, CODES)
    (finding,) = report.findings
    assert (finding.code, finding.victim) == ("RPW116", "alpha")
    assert finding.summary == "with sandbox_dir, alpha gives a different result"
    if arguments:
        assert "written outside of sandbox_dir: out/alpha.txt" in finding.evidence
    reasons = {each.code: each.reason for each in report.checks}
    assert reasons["RPW117"] == reasons["RPW213"] == "the worker ignores sandbox_dir (RPW116)"


def test_a_singleplex_worker_with_sandboxes_is_clean(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "good.py", worker="sandbox = true"), "RPW116,RPW117")
    assert report.findings == ()
    assert [each.status for each in report.checks] == [Status.PASSED, Status.SKIPPED]


@pytest.mark.parametrize("worker", ["multiplex = true", SANDBOX])
def test_a_multiplex_worker_is_clean(tmp_path: Path, worker: str) -> None:
    report = run(stage(tmp_path / "suite", "multiplex.py", worker=worker), "RPW117")
    assert report.findings == ()
    (state,) = report.checks
    assert state.status is Status.PASSED
    assert "while another one waited" in state.reason


def test_a_worker_with_a_lock_around_its_work_is_an_information(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "one_at_a_time.py", worker="multiplex = true")
    report = run(suite, CODES)
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("RPW117", Severity.INFO)
    assert finding.summary == (
        "the worker serves one request after the other: alpha waits for beta"
    ) or finding.summary.endswith("beta waits for alpha")
    assert "it was not answered within 1.5 s" in finding.evidence
    assert not report.has_errors


def test_a_worker_that_can_not_be_held_is_not_judged(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "multiplex.py", worker="multiplex = true")
    worker = suite.parent / "tools" / "good.py"
    picky = "    if not os.path.isfile(request.resolve(path)):\n        raise ToolError(path)\n"
    text = worker.read_text()
    worker.write_text(text.replace("    content = rpw_worker", f"{picky}    content = rpw_worker"))
    (state,) = run(suite, "RPW117").checks
    assert state.status is Status.SKIPPED
    assert "so it could not be held there" in state.reason


def test_without_multiplex_and_sandbox_nothing_is_judged(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "good.py"), "RPW116,RPW117")
    assert [each.reason for each in report.checks] == [
        "the suite does not say sandbox = true",
        "the suite does not say multiplex = true",
    ]
