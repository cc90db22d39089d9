"""Errors around a check: one line that names the cause, the exit code, and nothing left behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture.cli import main
from tests.hermeticity.samples import stage

pytestmark = pytest.mark.usefixtures("python3_is_this_interpreter")
ROOT = Path(__file__).parents[2]
LEAKS = ("--select", "RPW202", "--no-locate")


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    return stage(tmp_path / "suite", "good.py", headers=("alpha",))


def told(capsys: pytest.CaptureFixture[str], code: int, *arguments: object) -> str:
    """The line that ends with ``code``."""
    assert main(["check", *map(str, arguments)]) == code
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def edited(suite: Path, old: str, new: str) -> Path:
    text = suite.read_text()
    assert old in text
    suite.write_text(text.replace(old, new))
    return suite


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ('["python3", "tools/absent.py"]', "can't open file"),
        ('["/bin/true"]', "RPW103 crash: the process ended before its response was complete"),
        ('["/bin/sh", "-c", "echo hello; exec cat"]', "RPW101 text on stdout"),
    ],
)
def test_a_worker_that_works_in_no_mode_is_not_called_clean(
    suite: Path, command: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(suite, '["python3", "tools/good.py"]', command)
    error = told(capsys, 2, path, *LEAKS)
    assert "no action works on a fresh worker: alpha: " in error
    assert words in error


@pytest.mark.parametrize(
    ("content", "words"),
    [("@src/loop.params\n", "includes itself"), ("@src/none.params\n", "is not a declared input")],
)
def test_flagfiles_that_cannot_be_expanded_are_an_error_of_the_suite(
    suite: Path, content: str, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (suite.parent / "src" / "loop.params").write_text(content)
    text = edited(suite, 'arguments = ["--in"', 'arguments = ["@src/loop.params", "--in"')
    edited(suite, 'inputs = ["', 'inputs = ["src/loop.params", "')
    assert words in told(capsys, 2, text, *LEAKS)


def test_such_a_worker_is_a_finding_where_that_is_asked_for(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(suite, '["python3", "tools/good.py"]', '["/bin/true"]')
    assert main(["check", str(path), "--select", "RPW1,RPW202"]) == 1
    assert "RPW103 crash" in capsys.readouterr().out


def test_an_output_that_is_never_made_is_an_error_of_the_suite(
    suite: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(suite, 'outputs = ["out/alpha.txt"]', 'outputs = ["out/alhpa.txt"]')
    line = path.read_text().splitlines().index("[[action]]") + 1
    assert told(capsys, 2, path, *LEAKS) == (
        f"rpw-fixture check: {path}:{line}: action 'alpha' creates none of its outputs in a fresh worker: "
        "out/alhpa.txt; it created out/alpha.txt\n"
    )


@pytest.mark.parametrize("option", ["--output", "--write-baseline", "--reproducers"])
def test_what_cannot_be_written_is_reported_before_the_run(
    suite: Path, tmp_path: Path, option: str, capsys: pytest.CaptureFixture[str]
) -> None:
    # The suite itself would be refused, had it come to that.
    path = edited(suite, '["python3", "tools/good.py"]', '["/bin/true"]')
    error = told(capsys, 3, path, option, path / "below")
    assert error == f"rpw-fixture check: {option} {path}/below: Not a directory\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--max-seconds", "-1"), "'-1' is not a number of seconds"),
        (("--max-seconds", "nan"), "'nan' is not a number of seconds"),
        (("--jobs", "x"), "'x' is not a whole number from 1 on"),
    ],
)
def test_numbers_that_are_none_are_wrong_use(
    suite: Path, arguments: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["check", str(suite), *arguments])
    assert ended.value.code == 2
    assert capsys.readouterr().err.endswith(f"{words}\n")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_a_check_at_once_and_leaves_nothing(
    tmp_path: Path, number: signal.Signals
) -> None:
    """In the middle of a request that the worker never answers."""
    suite = stage(tmp_path / "suite", "good.py", worker="timeout = 600")
    fifo = tmp_path / "started"
    os.mkfifo(fifo)
    edited(
        suite,
        '["python3", "tools/good.py"]',
        json.dumps(["/bin/sh", "-c", f"echo > {fifo}; exec sleep 600"]),
    )
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "rpw_fixture", "check", str(suite), "--jobs", "2"],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        fifo.read_text()
        process.send_signal(number)
        out, error = process.communicate(timeout=30)
    assert (process.returncode, error) == (128 + number, "")
    assert f"interrupted by {number.name}: no errors so far; 0 of " in out
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(("sink", "code", "words"), [("closed", 1, ""), ("full", 3, "stdout: No ")])
def test_a_report_that_cannot_be_written_is_no_traceback(
    tmp_path: Path, sink: str, code: int, words: str
) -> None:
    suite = stage(tmp_path / "suite", "leaky.py")
    if sink == "closed":
        reading, writing = os.pipe()
        os.close(reading)
    else:
        writing = os.open("/dev/full", os.O_WRONLY)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "rpw_fixture", "check", str(suite), *LEAKS],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
            check=False,
        )
    finally:
        os.close(writing)
    assert done.returncode == code
    assert done.stderr.count("\n") == bool(words)
    assert words in done.stderr
