"""What is kept of a command's output, and how its start can fail."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution.command_run import Capture, run
from rpw_fixture.processes.spawner import Exit, StartError
from rpw_fixture.support.cancellation import CancelToken
from tests.ended_processes import ended


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    yield reading, writing
    for each in (reading, writing):
        try:
            os.close(each)
        except OSError as error:
            assert error.errno == errno.EBADF  # noqa: PT017 - a test may have closed it


def test_output_is_kept_up_to_the_limit_and_the_rest_is_counted(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    capture = Capture(reading, 10)
    for piece in (b"1234", b"567890", b"abc", b"d"):
        os.write(writing, piece)
        assert capture.drain() is True
    assert capture.content == b"1234567890\n[4 more bytes were not kept]\n"
    assert capture.content == b"1234567890\n[4 more bytes were not kept]\n"
    os.close(writing)
    assert capture.drain() is False


def test_output_within_the_limit_is_kept_as_it_is(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    capture = Capture(reading, 10)
    assert capture.drain() is True
    assert capture.content == b""
    os.write(writing, b"1234567890")
    capture.drain()
    assert capture.content == b"1234567890"


class Launcher:
    """Launches nothing: it fails, or gives a process that has ended."""

    def __init__(self, what: Exception | Exit) -> None:
        self._what = what

    def launch(self, _command: object, **_: int) -> Any:
        if isinstance(self._what, Exception):
            raise self._what
        reading, writing = os.pipe()
        os.close(writing)
        return SimpleNamespace(
            status_fd=reading,
            poll=lambda: self._what,
            kill_tree=lambda: None,
            close=lambda: os.close(reading),
        )


def launch(what: Exception | Exit) -> Any:
    command: Any = None
    launcher: Any = Launcher(what)
    return run(
        command,
        launcher=launcher,
        deadline=time.monotonic() + 60,
        token=CancelToken(),
        max_output_bytes=10,
    )


@pytest.mark.parametrize(
    ("error", "exit_code"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file"), 127),
        (PermissionError(errno.EACCES, "Permission denied"), 126),
        (StartError(errno.ENOENT, "No such file", stage="executable"), 127),
        (StartError(errno.ENOEXEC, "Exec format error", stage="executable"), 126),
    ],
)
def test_a_program_that_can_not_be_started_is_the_commands_failure(
    error: Exception, exit_code: int
) -> None:
    result = launch(error)
    assert result.exit_code == exit_code
    assert result.stderr.startswith(b"rpw_fixture: ")
    assert result.note.startswith("the command did not start: ")


@pytest.mark.parametrize(
    ("number", "stage", "code"),
    [
        (errno.EAGAIN, "executable", Code.RESOURCE_EXHAUSTED),
        (errno.EMFILE, "descriptors", Code.RESOURCE_EXHAUSTED),
        (errno.EPERM, "limits", Code.FAILED_PRECONDITION),
        (errno.EPERM, "setup step 2", Code.FAILED_PRECONDITION),
        (errno.EPIPE, "spawner", Code.UNAVAILABLE),
    ],
)
def test_what_the_machine_or_the_settings_lack_is_not_the_commands_failure(
    number: int, stage: str, code: Code
) -> None:
    with pytest.raises(RequestError, match="the command did not start") as failure:
        launch(StartError(number, "cause", stage=stage))
    assert failure.value.code is code


@pytest.mark.parametrize(
    ("status", "exit_code", "note"),
    [(0, 0, ""), (3, 3, ""), (-9, 137, "the command was killed by SIGKILL")],
)
def test_a_signal_is_an_exit_code_beyond_128_and_noted(
    status: int, exit_code: int, note: str
) -> None:
    result = launch(ended(status))
    assert (result.exit_code, result.timed_out, result.max_rss_bytes) == (exit_code, False, 7)
    assert result.note.startswith(note)
    assert bool(result.note) is bool(note)


def test_a_command_whose_supervisor_was_killed_may_be_tried_again() -> None:
    with pytest.raises(RequestError, match="try again") as failure:
        launch(ended(-9, lost=True))
    assert failure.value.code is Code.UNAVAILABLE
