"""Runs a command to its end in a new process, and keeps its output."""

from __future__ import annotations

import errno
import os
import select
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution.results import RunResult
from rpw_fixture.launching.launch import Launch, Launcher
from rpw_fixture.launching.start_errors import status_of_failed_start
from rpw_fixture.processes.spawner import Exit, Process, StartError
from rpw_fixture.support.cancellation import CancelToken

_READ = 1 << 16
_IN = select.POLLIN | select.POLLHUP | select.POLLERR
#: A shell's exit codes for a program that is not there, or that may not be executed.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126
_NOT_EXECUTABLE_ERRORS = {errno.EACCES, errno.ENOEXEC, errno.E2BIG}


class Capture:
    """Keeps the beginning of a stream.

    Args:
        fd: the pipe's end to read from, non-blocking.
        limit: how many bytes are kept; the rest is read and counted.
    """

    def __init__(self, fd: int, limit: int) -> None:
        self.fd = fd
        self._limit = limit
        self._pieces: list[bytes] = []
        self._kept = self._dropped = 0

    def drain(self) -> bool:
        """Read what is available, at most 1 MiB; return False once the stream has ended."""
        for _ in range(16):
            try:
                data = os.read(self.fd, _READ)
            except BlockingIOError:
                return True
            if not data:
                return False
            piece = data[: self._limit - self._kept]
            if piece:
                self._pieces.append(piece)
            self._kept += len(piece)
            self._dropped += len(data) - len(piece)
        return True

    @property
    def content(self) -> bytes:
        """The kept bytes, and a last line with the number of those that were not kept."""
        if self._dropped:
            self._pieces.append(b"\n[%d more bytes were not kept]\n" % self._dropped)
            self._dropped = 0
        return b"".join(self._pieces)


def run(
    command: Launch,
    *,
    launcher: Launcher,
    deadline: float,
    token: CancelToken,
    max_output_bytes: int,
) -> RunResult:
    """Run ``command`` in its staged input root; return when all its processes have ended.

    Args:
        command: what to run.
        launcher: starts the process.
        deadline: on the monotonic clock; then the whole process tree is killed.
        token: when cancelled, the tree is killed as well.
        max_output_bytes: how much of stdout, and of stderr, is kept.

    Raises:
        RequestError: CANCELLED; RESOURCE_EXHAUSTED when no process can be started; UNAVAILABLE when the
            spawner, or the process's supervisor, was killed; FAILED_PRECONDITION when isolation, a limit
            or an image is not available.
    """
    with ExitStack() as stack:
        out = stack.enter_context(_captured(max_output_bytes))
        err = stack.enter_context(_captured(max_output_bytes))
        null = os.open(os.devnull, os.O_RDONLY)
        stack.callback(os.close, null)
        try:
            process = launcher.launch(command, stdin=null, stdout=out[1], stderr=err[1])
        except (FileNotFoundError, PermissionError, StartError) as error:
            code = status_of_failed_start(error)
            if code is not Code.OK:
                raise RequestError(code, f"the command did not start: {error}") from None
            return _not_started(error)
        stack.callback(process.close)
        with token.calling(process.kill_tree):
            ended, timed_out = _await_end(process, (out[0], err[0]), deadline)
    token.check()
    if ended.lost and not timed_out:
        raise RequestError(Code.UNAVAILABLE, f"the command was {ended.description}; try again")
    return RunResult(
        exit_code=ended.status if ended.status >= 0 else 128 - ended.status,
        stdout=out[0].content,
        stderr=err[0].content,
        timed_out=timed_out,
        max_rss_bytes=ended.max_rss_bytes,
        note="" if ended.status >= 0 else f"the command was {ended.description}",
    )


@contextmanager
def _captured(limit: int) -> Iterator[tuple[Capture, int]]:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    try:
        yield Capture(reading, limit), writing
    finally:
        os.close(reading)
        os.close(writing)


def _await_end(
    process: Process, captures: tuple[Capture, Capture], deadline: float
) -> tuple[Exit, bool]:
    """Read both streams until the process has ended; return also whether the time was up.

    We hold the pipes' writing ends ourselves, so they never end: the process's end counts.
    """
    poller = select.poll()
    poller.register(process.status_fd, _IN)
    for capture in captures:
        poller.register(capture.fd, _IN)
    timed_out = False
    while (ended := process.poll()) is None:
        wait = None if timed_out else max(0.0, deadline - time.monotonic()) * 1000
        poller.poll(wait)
        if not timed_out and time.monotonic() >= deadline:  # however much it still writes
            timed_out = True
            process.kill_tree()
        for capture in captures:
            capture.drain()
    for capture in captures:
        capture.drain()
    return ended, timed_out


def _not_started(error: OSError | StartError) -> RunResult:
    is_there = isinstance(error, PermissionError) or error.errno in _NOT_EXECUTABLE_ERRORS
    code = _NOT_EXECUTABLE if is_there else _NOT_FOUND
    text = f"rpw_fixture: {error}\n"
    return RunResult(
        exit_code=code, stderr=text.encode(), note=f"the command did not start: {error}"
    )
