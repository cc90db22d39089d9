"""Declared inputs that no run reads: an info, not a failure."""

import json
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from rpw_fixture.cli import main
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.report import Status
from rpw_fixture.hermeticity.trials.read_watch import ReadWatch
from rpw_fixture.support.beneath import OwnFolder
from tests.hermeticity.samples import run, stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")


def test_inputs_that_no_run_opens_are_named_as_info(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"], shared=["src/unused.txt"])
    report = run(suite, "RPW207")
    (finding,) = report.findings
    assert (finding.severity, finding.victim) == (Severity.INFO, "alpha")
    assert finding.summary.endswith("never reads: src/unused.txt")
    assert report.checks[0].status is not Status.FAILED
    assert "unread inputs by inotify" in report.checks[0].reason
    assert not report.has_errors
    (access,) = report.as_dict()["accesses"]  # type: ignore[misc]
    assert access["action"] == "alpha"
    assert access["unread"] == ["src/unused.txt"]
    assert {"src/alpha.txt", "tools/good.py", "tools/rpw_worker.py"} <= set(access["read"])


def test_an_input_that_only_a_one_shot_run_opens_is_read(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "two_ways.py", headers=["alpha"], shared=["src/more.txt"])
    worker = suite.parent / "tools" / "two_ways.py"
    read = "if '--persistent_worker' not in sys.argv:\n    open('src/more.txt').close()\n"
    worker.write_text(worker.read_text().replace("import good\n", f"{read}import good\n"))
    report = run(suite, "RPW207")
    assert report.findings == ()
    (access,) = report.accesses
    assert access.unread == ()
    assert access.read is not None
    assert "src/more.txt" in access.read


def test_info_is_shown_though_a_baseline_was_written_and_exit_code_stays_zero(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"], shared=["src/unused.txt"])
    known, folder = tmp_path / "baseline.json", tmp_path / "reproducers"
    arguments = ["check", str(suite), "--select", "RPW207", "--format", "json"]
    assert main([*arguments, "--write-baseline", str(known)]) == 0
    assert json.loads(known.read_text())["accepted"] == []
    capsys.readouterr()
    assert main([*arguments, "--baseline", str(known), "--reproducers", str(folder)]) == 0
    (finding,) = json.loads(capsys.readouterr().out)["findings"]
    assert (finding["severity"], finding["reproducer"]) == ("info", None)


def test_info_is_reported_in_text_and_junit_without_a_remedy_or_failure(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    suite = stage(tmp_path / "suite", "good.py", headers=["alpha"], shared=["src/unused.txt"])
    assert main(["check", str(suite), "--select", "RPW207"]) == 0
    text = capsys.readouterr().out
    assert "info: alpha declares inputs that it never reads: src/unused.txt" in text
    assert "Fix:" not in text
    assert main(["check", str(suite), "--select", "RPW207", "--format", "junit"]) == 0
    (case,) = ET.fromstring(capsys.readouterr().out.encode()).iter("testcase")
    assert case.find("failure") is None
    assert "src/unused.txt" in (case.findtext("system-out") or "")


def test_opened_files_are_reported_by_path_and_others_are_not(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("top", "a/deep", "a/unread", "other"):
        (tmp_path / name).write_text(name)
    with (
        OwnFolder(str(tmp_path.parent)) as own,
        ReadWatch(own.at(tmp_path.name), ["top", "a/deep", "a/unread"]) as watch,
    ):
        (tmp_path / "a/unread").stat()
        assert watch.opened() == frozenset()
        for name in ("top", "a/deep", "other"):
            (tmp_path / name).read_text()
        assert watch.opened() == {"top", "a/deep"}


def test_a_folder_that_is_not_there_cannot_be_watched(tmp_path: Path) -> None:
    with OwnFolder(str(tmp_path.parent)) as own, pytest.raises(FileNotFoundError, match="gone"):
        ReadWatch(own.at(tmp_path.name), ["gone/file"])
