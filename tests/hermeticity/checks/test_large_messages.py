"""Large requests and answers (RPW113), and request ids that a worker does not return (RPW104)."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.report import Status
from tests.hermeticity.samples import run, stage
from tests.hermeticity.whole_checks.test_survivors import edited

JSON = "--worker_protocol=json"


@pytest.mark.parametrize(
    ("script", "worker"),
    [
        ("good.py", ""),
        ("good.py", 'protocol = "json"'),
        ("multiplex.py", "multiplex = true"),
    ],
)
def test_workers_that_read_whole_requests_are_clean(
    tmp_path: Path, script: str, worker: str
) -> None:
    arguments = [JSON] if "json" in worker else []
    report = run(stage(tmp_path / "suite", script, *arguments, worker=worker), "RPW113,RPW104")
    assert report.findings == ()
    (id_state, state) = report.checks
    assert (id_state.status, state.status) == (Status.PASSED, Status.PASSED)
    assert state.reason == "the largest answer had 4 MiB"


@pytest.mark.parametrize(
    ("bug", "summary"),
    [
        ("request", "alpha with an unknown option of more than 4 MiB fails: "),
        ("answer", "alpha with an unknown option of 64 KiB fails: "),
        ("inputs", "alpha with more than 20,000 inputs gives exit code 1 instead of 0"),
        ("id", "a request with request_id 2147483647 fails: crash"),
    ],
)
def test_the_finding_says_what_was_too_large(tmp_path: Path, bug: str, summary: str) -> None:
    suite = stage(tmp_path / "suite", "large_frames.py", f"--bug={bug}")
    (finding,) = run(suite, "RPW113").findings
    assert finding.code == "RPW113"
    assert finding.summary.startswith(summary)


def test_lost_request_ids_are_a_warning_for_a_singleplex_worker(tmp_path: Path) -> None:
    (finding,) = run(stage(tmp_path / "suite", "lost_ids.py"), "RPW104").findings
    assert (finding.code, finding.severity) == ("RPW104", Severity.WARNING)
    assert finding.summary == "a request with request_id 7 is answered with another id"
    assert "Bazel sends 0 to singleplex workers" in finding.evidence


def test_a_worker_that_fails_for_another_reason_is_not_judged(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "over_time.py", "--bug=crash", "--at=2")
    (state,) = run(suite, "RPW113").checks
    assert state.status is Status.SKIPPED
    assert "but not a fresh one" in state.reason


def test_a_tool_that_refuses_only_options_without_a_value_is_clean(tmp_path: Path) -> None:
    line = "        self.inputs: list[str] = []\n"
    ignoring = '        arguments = [each for each in arguments if "=" not in each]\n'
    assert run(edited(tmp_path, (line, ignoring)), "RPW113").findings == ()
