"""JSON responses that one reader accepts and another does not (RPW114, RPW115); broken JSON (RPW105)."""

from pathlib import Path

import pytest

from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.report import Status
from tests.hermeticity.samples import PROTOCOL, run, stage

JSON = "--worker_protocol=json"
CODES = "RPW114,RPW115"


def json_suite(folder: Path, script: str, *arguments: str, with_failure: bool = False) -> Path:
    worker = 'protocol = "json"\ntimeout = 2'
    return stage(
        folder / "suite", script, JSON, *arguments, worker=worker, with_failure=with_failure
    )


def test_a_lost_exit_code_is_named(tmp_path: Path) -> None:
    report = run(json_suite(tmp_path, "misspelt.py", with_failure=True), CODES)
    (finding,) = report.findings
    assert (finding.code, finding.severity) == ("RPW114", Severity.WARNING)
    assert finding.summary == (
        "a JSON response has fields that no WorkResponse has: exit_code; "
        "the exit code 1 of failing is lost"
    )
    assert "its name in JSON is exitCode" in finding.evidence


def test_a_failing_request_is_tried_where_the_suite_has_none(tmp_path: Path) -> None:
    (finding,) = run(json_suite(tmp_path, "misspelt.py"), CODES).findings
    assert "; the exit code 1 of " in finding.summary


def test_a_name_that_no_response_has_is_reported(tmp_path: Path) -> None:
    (finding,) = run(json_suite(tmp_path, "misspelt.py", "--extra"), CODES).findings
    assert finding.summary == "a JSON response has fields that no WorkResponse has: durationMs"
    assert "strict protobuf readers refuse" in finding.evidence


def test_a_response_without_a_newline_is_a_warning(tmp_path: Path) -> None:
    (finding,) = run(json_suite(tmp_path, "no_newline.py"), CODES).findings
    assert (finding.code, finding.severity) == ("RPW115", Severity.WARNING)
    assert "NativeLink waits" in finding.evidence


def test_it_is_found_in_a_worker_that_does_not_end_in_time(tmp_path: Path) -> None:
    suite = json_suite(tmp_path, "no_newline.py")
    worker = suite.parent / "tools" / "no_newline.py"
    slow = "result = rpw_worker.main(good.compile_files)\n    __import__('time').sleep(60)\n"
    text = worker.read_text()
    worker.write_text(text.replace("sys.exit(rpw_worker.main(good.compile_files))", slow))
    (finding,) = run(suite, "RPW115").findings
    assert finding.code == "RPW115"


def test_a_newline_in_a_separate_write_is_fine(tmp_path: Path) -> None:
    suite = json_suite(tmp_path, "no_newline.py")
    worker = suite.parent / "tools" / "no_newline.py"
    late = """
class TwoWrites(rpw_worker.Channel):
    def write(self, response):
        super().write(response)
        __import__("time").sleep(0.002)
        self.send(b"\\n")
"""
    text = worker.read_text().replace("\n\nif __name__", f"{late}\n\nif __name__")
    text = text.replace("compile_files))", "compile_files, channel_type=TwoWrites))")
    worker.write_text(text)
    assert run(suite, f"{CODES},{PROTOCOL},RPW202").findings == ()


def test_only_json_workers_are_judged(tmp_path: Path) -> None:
    report = run(stage(tmp_path / "suite", "good.py"), CODES)
    assert {each.status for each in report.checks} == {Status.SKIPPED}
    report = run(json_suite(tmp_path / "json", "good.py"), CODES)
    assert {each.status for each in report.checks} == {Status.PASSED}


@pytest.mark.parametrize(
    "broken",
    ["'{\\'exitCode\\': 0}\\n'", "'{\"exitCode\": 0}}\\n'", '\'{"exitCode": 0, "output": ""\\n\''],
    ids=["single quotes", "a brace too many", "a brace too few"],
)
def test_broken_json_is_a_malformed_response(tmp_path: Path, broken: str) -> None:
    suite = json_suite(tmp_path, "no_newline.py")
    worker = suite.parent / "tools" / "no_newline.py"
    old = "super().encode(response).rstrip()"
    worker.write_text(worker.read_text().replace(old, f"{broken}.encode()"))
    assert {each.code for each in run(suite, PROTOCOL).findings} == {"RPW105"}
