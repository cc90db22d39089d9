"""What ``check`` shows while it runs, and what it reports when it is interrupted."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.cli.check_progress import line
from rpw_fixture.hermeticity.checks.check_list import CHECKS
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.progress import Progress, ProgressTracker
from tests.hermeticity.samples import stage

ROOT = Path(__file__).parents[2]


def terminal_output(process: subprocess.Popen[str], master: int) -> str:
    """Everything that a process writes to a terminal."""
    pieces = []
    while True:
        try:
            data = os.read(master, 4096)
        except OSError:  # the last one to hold the terminal has closed it
            break
        pieces.append(data)
        if not data:
            break
    return b"".join(pieces).decode()


def started(suite: Path, *arguments: str, stderr: int) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "rpw_fixture", "check", str(suite), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
    )


def test_a_terminal_shows_a_bar_and_findings_as_they_come(tmp_path: Path) -> None:
    suite = stage(tmp_path / "suite", "leaky.py")
    master, slave = pty.openpty()
    options = ("--select", "RPW202,RPW209", "--no-locate", "--pause", "0", "--format", "json")
    with started(suite, *options, stderr=slave) as process:
        os.close(slave)
        shown = terminal_output(process, master)
        assert process.stdout is not None
        report = json.loads(process.stdout.read())
    os.close(master)
    lines = [each.strip() for each in re.split(r"\r\n|\r\033\[K", shown) if each.strip()]
    bars = [each for each in lines if each.startswith("[")]
    assert all(len(each) < 80 for each in bars)
    # With a guess of the time that is left, long ones are cut at the width of the terminal.
    whole = [each for each in bars if len(each) < 79]
    assert re.fullmatch(
        r"\[#*\.*\] +\d+%(, \d+ s left)?  [a-z ]+  \((\d+ findings?, )?\d+ starts?\)",
        whole[-1],
    ), whole[-1]
    others = [each for each in lines if not each.startswith("[")]
    assert "RPW202 state-leak: beta after alpha" in others
    assert len(others) == len(report["findings"])
    assert shown.endswith("\r\033[K")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_check_reports_what_it_has_found(
    tmp_path: Path, number: signal.Signals
) -> None:
    """In the middle of a start that never ends, when RPW106 is found and the environment is varied."""
    suite = stage(tmp_path / "suite", "ignores_eof.py", worker="timeout = 600")
    fifo = tmp_path / "reached"
    os.mkfifo(fifo)
    tool = suite.parent / "tools" / "ignores_eof.py"
    future = "from __future__ import annotations\n"
    stop = (
        "import os, time\nif os.environ.get('TZ') == 'Pacific/Kiritimati':\n"
        f"    open({str(fifo)!r}, 'w').write('x')\n    time.sleep(600)\n"
    )
    text = tool.read_text()
    assert future in text
    tool.write_text(text.replace(future, future + stop, 1))
    with started(suite, "--format", "json", stderr=subprocess.PIPE) as process:
        fifo.read_text()
        process.send_signal(number)
        out, error = process.communicate(timeout=60)
    assert (process.returncode, error) == (128 + number, "")
    report = json.loads(out)
    assert report["interrupted"] == number.name
    reasons = {each["code"]: each["reason"] for each in report["checks"]}
    assert reasons["RPW301"] == f"interrupted by {number.name}"
    states = {each["code"]: each["status"] for each in report["checks"]}
    assert (states["RPW106"], states["RPW107"]) == ("failed", "passed")
    assert [each["code"] for each in report["findings"]] == ["RPW106"]


def test_progress_grows_and_ends_at_one() -> None:
    found: list[Finding] = []
    tracker = ProgressTracker(found.append)
    tracker.expect(2)
    shares = [tracker.now().share]
    for _ in range(2):
        tracker.begin(CHECKS)
        for check in CHECKS:
            tracker.enter(check)
            shares.append(tracker.now().share)
        tracker.count(7, 9)
        tracker.finish()
    finding = Finding(code="RPW202", summary="x")
    tracker.found(finding)
    now = tracker.now()
    assert shares == sorted(shares)
    assert (now.share, now.worker_starts, now.requests, now.findings) == (1.0, 14, 18, 1)
    assert found == [finding]


@pytest.mark.parametrize(
    ("progress", "columns", "expected"),
    [
        (
            Progress(
                phase="x", share=0, seconds_left=None, worker_starts=1, requests=0, findings=0
            ),
            80,
            "[....................]   0%  x  (1 start)",
        ),
        (
            Progress(phase="x", share=1, seconds_left=700, worker_starts=2, requests=1, findings=1),
            80,
            "[####################] 100%, 12 min left  x  (1 finding, 2 starts)",
        ),
        (
            Progress(
                phase="x", share=0.5, seconds_left=0.1, worker_starts=2, requests=1, findings=0
            ),
            12,
            "[##########",
        ),
    ],
)
def test_the_line_fits_the_terminal(progress: Progress, columns: int, expected: str) -> None:
    assert line(progress, columns) == expected
