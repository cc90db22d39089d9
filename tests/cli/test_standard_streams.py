"""Standard streams that are closed, full, or not able to show a text: no command fails with a traceback."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path

import pytest

from rpw_fixture.cli import main, standard_streams
from rpw_fixture.errors import EnvironmentLacksError

_PROGRAM = (sys.executable, "-m", "rpw_fixture")
_SERVE = ("serve", "--listen", "127.0.0.1:0", "--idle-timeout", "0.1", "--summary")


def redirected(redirection: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program with a redirection of the shell."""
    return subprocess.run(
        ["sh", "-c", f'exec "$@" {redirection}', "sh", *_PROGRAM, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("redirection", "arguments"),
    [("2>&-", _SERVE), (">&- 2>&-", _SERVE), ("<&- >&-", ("check", "--list", "RPW4"))],
    ids=["stderr", "both", "stdout"],
)
def test_a_closed_stream_is_as_good_as_the_null_device(
    redirection: str, arguments: tuple[str, ...]
) -> None:
    done = redirected(redirection, *arguments)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("RPW_READY ") is (redirection == "2>&-")


def test_a_server_without_a_reader_of_its_ready_line_serves() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [*_PROGRAM, *_SERVE], stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)

    assert (done.returncode, done.stderr) == (0, "\nno action reached the server\n")


class FullDisk(io.StringIO):
    """A stream to a file on a full disk."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._file = path.open("w")

    def flush(self) -> None:
        """Fail."""
        raise OSError(28, "No space left on device")

    def fileno(self) -> int:
        """Return a real descriptor."""
        return self._file.fileno()

    def close(self) -> None:
        """Close the file too."""
        self._file.close()
        super().close()


@pytest.mark.parametrize(
    "arguments", [["doctor"], ["completion", "bash"], ["check", "--list"], ["init"], list(_SERVE)]
)
def test_a_full_disk_behind_stdout_is_reported_in_one_line(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    full = FullDisk(tmp_path / "full")
    monkeypatch.setattr(sys, "stdout", full)
    try:
        code = main(arguments)
    finally:
        monkeypatch.undo()
        full.close()

    assert code == 3
    assert capsys.readouterr().err == (
        f"rpw-fixture {arguments[0]}: stdout: No space left on device\n"
    )


def test_what_the_encoding_of_stdout_lacks_is_shown_as_an_escape(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="ascii"))

    assert main(["check", "--explain", "RPW202"]) == 0
    sys.stdout.flush()
    assert raw.getvalue().startswith(b"RPW202 state-leak")


class Stdout(io.StringIO):
    """A stdout that can't be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__()
        self.error = error

    def flush(self) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        (BrokenPipeError(32, "Broken pipe"), None),
        (OSError(28, "No space left"), "stdout: No space left"),
    ],
)
def test_a_stdout_that_can_not_be_written_is_silenced(
    error: OSError, problem: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    silenced: list[bool] = []
    monkeypatch.setattr(standard_streams, "_silence", lambda: silenced.append(True))
    monkeypatch.setattr("sys.stdout", Stdout(error))
    expected = pytest.raises(EnvironmentLacksError, match=f"^{problem}$")
    with expected if problem else nullcontext():
        standard_streams.write("text")
    assert silenced == [True]
