"""What is said of a worker that does not answer: what it read, what it waits for, its other protocol."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from rpw_fixture.hermeticity.check import Options, check
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite_file import load
from tests.hermeticity.samples import stage

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")


def finding_about(folder: Path, *lines: str) -> Finding:
    """The finding for a worker with these lines instead of its code."""
    suite = stage(folder / "s", "good.py", headers=["alpha"], worker="timeout = 0.7")
    (suite.parent / "tools" / "good.py").write_text("\n".join(lines))
    findings = check(load(suite), Options(selected=frozenset(["RPW102"]))).findings
    return next(each for each in findings if each.code == "RPW102")


def test_a_worker_that_reads_on_waits_for_stdin(tmp_path: Path) -> None:
    evidence = finding_about(
        tmp_path, "import os, signal", "signal.signal(2, print)", "while os.read(0, 9999): pass"
    ).evidence
    assert "the worker has read the whole request" in evidence
    assert "its threads: reading from stdin" in evidence or "in pipe_read" in evidence


def test_a_stdin_on_another_descriptor_is_still_called_stdin(tmp_path: Path) -> None:
    evidence = finding_about(
        tmp_path,
        "import os",
        "moved = os.dup(0)",
        "os.dup2(os.open('/dev/null', os.O_RDONLY), 0)",
        "while os.read(moved, 9999): pass",
    ).evidence
    assert "reading from stdin" in evidence or "in pipe_read" in evidence


def test_a_worker_that_never_reads_sleeps_beside_its_child(tmp_path: Path) -> None:
    evidence = finding_about(
        tmp_path, "import subprocess, time", "subprocess.Popen(['sleep', '9'])", "time.sleep(9)"
    ).evidence
    assert "the worker has read nothing of the request" in evidence
    assert "its threads: sleeping" in evidence or "nanosleep" in evidence
    assert "its child processes: sleep" in evidence


def test_part_of_a_request_is_reported_in_bytes(tmp_path: Path) -> None:
    evidence = finding_about(
        tmp_path, "import os, threading", "os.read(0, 3)", "threading.Event().wait()"
    ).evidence
    assert "the worker has read 3 of the " in evidence
    assert "waiting for a lock or another thread" in evidence or "futex" in evidence


@pytest.mark.parametrize(("suite_says", "worker_speaks"), [("proto", "json"), ("json", "proto")])
def test_a_worker_of_the_other_protocol_is_reported(
    tmp_path: Path, suite_says: str, worker_speaks: str
) -> None:
    keys = f'timeout = 2\nprotocol = "{suite_says}"'
    argument = f"--worker_protocol={worker_speaks}"
    path = stage(tmp_path / "s", "good.py", argument, headers=["alpha"], worker=keys)
    report = check(load(path), Options(selected=frozenset(json.loads(_PROTOCOL))))
    (finding,) = report.findings
    hint = f'it answers to {worker_speaks.upper()}: set protocol = "{worker_speaks}" in the suite'
    assert finding.evidence.splitlines()[0] == hint


_PROTOCOL = '["RPW101", "RPW102", "RPW103", "RPW104", "RPW105"]'
