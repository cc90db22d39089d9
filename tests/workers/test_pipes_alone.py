"""Pipes to a worker without a worker: the test holds the other ends, and says how the process ended."""

from __future__ import annotations

import errno
import math
import os
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution import worker_request
from rpw_fixture.execution.output_lookup import ROOT, OutputsChangedError
from rpw_fixture.processes.spawner import Exit
from rpw_fixture.wire.worker.messages import FrameError, ProtocolRule
from rpw_fixture.workers import process_pipes, resident_memory
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.process_pipes import ProcessPipes, make_pipes
from tests.ended_processes import ended


class Process:
    """A process that ends when it is killed, at the earliest."""

    def __init__(self, status_fd: int, pid: int) -> None:
        self.status_fd, self.pid = status_fd, pid
        self.exit: Exit | None = None
        self.after_kill: Exit | None = ended(-9)
        self.kills = 0

    def poll(self) -> Exit | None:
        return self.exit

    def wait(self, _timeout: float) -> Exit | None:
        return self.exit

    def kill_tree(self) -> None:
        self.kills += 1
        self.exit = self.exit or self.after_kill

    def close(self) -> None:
        """Hold nothing."""


class Worker:
    """The worker's ends of its streams, and ours."""

    def __init__(self, start_timeout: float = 0.0, pid: int | None = None) -> None:
        self.reading_status, self.status = os.pipe()
        self.process = Process(self.reading_status, os.getpid() if pid is None else pid)
        self.ours, self.theirs = make_pipes()
        process: Any = self.process
        self.pipes = ProcessPipes(7, process, self.ours, start_timeout)

    def close(self) -> None:
        self.pipes.close()
        self.theirs.close()
        for fd in (self.reading_status, self.status):
            os.close(fd)


@pytest.fixture
def worker() -> Iterator[Worker]:
    made = Worker()
    yield made
    made.close()


def test_waiting_ends_with_output_a_status_or_the_time(worker: Worker) -> None:
    pipes = worker.pipes
    assert pipes.wait(0) == set()
    assert pipes.is_quiet
    assert pipes.read() is None
    os.write(worker.theirs.stdout, b"x")
    assert not pipes.is_quiet
    assert pipes.wait(60) == {worker.ours.stdout}
    assert pipes.read() == b"x"
    os.write(worker.theirs.stderr, b"said")
    assert worker.ours.stderr in pipes.wait(60)
    assert pipes.stderr.text == "said"
    assert worker.ours.stdin in pipes.wait(60, to_write=True)
    os.write(worker.status, b"x")
    assert pipes.wait(60) == {worker.reading_status}


def test_a_stderr_that_has_ended_is_looked_at_no_more() -> None:
    worker = Worker()
    os.close(worker.theirs.stderr)
    assert worker.pipes.wait(60) == {worker.ours.stderr}
    assert worker.pipes.wait(0) == set()
    assert worker.ours.stderr not in worker.pipes.wait(60, to_write=True)
    os.dup2(worker.theirs.stdin, worker.theirs.stderr)
    worker.close()


def test_stdin_takes_as_much_as_fits_and_nothing_once_it_is_closed(worker: Worker) -> None:
    pipes = worker.pipes
    rest = pipes.write(memoryview(bytes(100_000)))
    assert 0 < len(rest) < 100_000
    assert pipes.written == 100_000 - len(rest)
    assert (pipes.consumed, pipes.has_begun) == (0, False)
    began = time.monotonic()
    pipes.wait_to_write(0.02)
    assert time.monotonic() - began >= 0.01
    os.read(worker.theirs.stdin, 5000)
    pipes.wait_to_write(60)
    assert (pipes.consumed, pipes.has_begun) == (5000, True)
    os.close(worker.theirs.stdin)
    assert len(pipes.write(rest)) == 0
    os.dup2(worker.theirs.stdout, worker.theirs.stdin)
    pipes.close_stdin()
    pipes.close_stdin()
    assert pipes.consumed == pipes.written
    assert pipes.wait(0, to_write=True) == set()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the beginning is not seen")
def test_a_worker_must_begin_to_read_in_time() -> None:
    worker = Worker(start_timeout=5.0)
    try:
        left = worker.pipes.start_deadline - time.monotonic()
        assert 0 < left <= 5
        worker.pipes.write(memoryview(b"request"))
        assert worker.pipes.start_deadline < math.inf
        os.read(worker.theirs.stdin, 1)
        assert worker.pipes.start_deadline == math.inf
        failure = worker.pipes.not_started()
        assert (failure.rule, failure.exit_status, worker.process.kills) == ("start timeout", -9, 1)
        assert "within 5 s" in failure.detail
    finally:
        worker.close()


def test_without_a_limit_a_worker_need_not_begin(worker: Worker) -> None:
    assert worker.pipes.start_deadline == math.inf


def test_a_crash_says_how_it_ended_and_whether_the_request_was_read(worker: Worker) -> None:
    pipes = worker.pipes
    pipes.write(memoryview(b"request"))
    worker.process.exit = ended(3)
    assert pipes.has_ended
    failure = pipes.crashed("closed its stdout", 0)
    assert (failure.rule, failure.exit_status, failure.was_unread) == ("crash", 3, True)
    assert failure.code is Code.FAILED_PRECONDITION
    assert not failure.is_violation
    assert failure.detail.startswith("it closed its stdout before its response was complete (")
    os.read(worker.theirs.stdin, 1)
    assert not pipes.crashed("ended", 0).was_unread
    assert pipes.crashed("ended", 1).was_unread
    assert worker.process.kills == 0


def test_a_worker_that_does_not_end_is_killed(worker: Worker) -> None:
    worker.process.after_kill = None
    failure = worker.pipes.crashed("ended", 0)
    assert "it can't be killed" in failure.detail
    assert (failure.exit_status, worker.process.kills) == (None, 1)


def test_a_timeout_and_a_violation_kill(worker: Worker) -> None:
    failure = worker.pipes.timed_out("too slow")
    assert (failure.rule, failure.code, failure.detail) == (
        "timeout",
        Code.DEADLINE_EXCEEDED,
        "too slow",
    )
    rule = next(iter(ProtocolRule))
    failure = worker.pipes.violated(FrameError(rule, "text"))
    assert (failure.rule, failure.is_violation) == (str(rule), True)
    assert failure.detail.startswith("text (")
    assert worker.process.kills == 2


def test_what_killed_its_supervisor_too_is_not_the_workers_fault(worker: Worker) -> None:
    worker.process.exit = ended(-9, lost=True)
    failure = worker.pipes.violated(FrameError(next(iter(ProtocolRule)), "text"))
    assert (failure.is_violation, failure.code) == (False, Code.UNAVAILABLE)
    assert failure.exit_status is None
    assert worker.pipes.timed_out("x").code is Code.DEADLINE_EXCEEDED


def test_of_a_process_that_is_gone_nothing_is_known() -> None:
    worker = Worker(pid=2**30)
    assert (worker.pipes.is_dying, worker.pipes.peak_bytes) == (False, 0)
    assert process_pipes._open_in_proc(2**30, "stat") == -1
    assert process_pipes._read_again(-1) == b""
    worker.close()
    assert process_pipes._read_again(worker.reading_status) == b""


@pytest.mark.skipif(sys.platform != "linux", reason="/proc is of Linux")
def test_the_memory_of_a_process_is_in_bytes(worker: Worker) -> None:
    assert worker.pipes.peak_bytes > 1 << 20
    assert worker.pipes.is_dying is False


# --- requests: what a worker did to its folder ---

ALIVE: Any = SimpleNamespace(number=7, stderr=SimpleNamespace(text="tail"))


class Sandbox:
    def __init__(self, code: int) -> None:
        self._code = code

    def __enter__(self) -> None:
        raise OSError(self._code, os.strerror(self._code))

    def __exit__(self, *_: object) -> None:
        """Never reached."""


@pytest.mark.parametrize(
    ("code", "rule"),
    [
        (errno.ENOENT, "working directory gone"),
        (errno.ENOTDIR, "working directory gone"),
        (errno.EEXIST, "working directory disturbed"),
        (errno.EACCES, "working directory disturbed"),
        (errno.EXDEV, "working directory disturbed"),
    ],
)
def test_a_folder_that_can_not_be_entered_is_the_workers_fault(code: int, rule: str) -> None:
    sandbox: Any = Sandbox(code)
    with ExitStack() as stack, pytest.raises(WorkerFailure) as failure:
        worker_request._entered(stack, sandbox, ALIVE)
    found = failure.value
    assert (found.rule, found.is_violation, found.was_unread) == (rule, True, True)
    assert (found.worker, found.stderr_tail) == (7, "tail")


def test_a_full_disk_is_not_the_workers_fault() -> None:
    sandbox: Any = Sandbox(errno.ENOSPC)
    with ExitStack() as stack, pytest.raises(OSError, match="No space"):
        worker_request._entered(stack, sandbox, ALIVE)


@pytest.mark.parametrize(
    ("error", "rule"),
    [
        (OutputsChangedError(ROOT), "working directory gone"),
        (OutputsChangedError("out"), "outputs changed after the response"),
        (RequestError(Code.RESOURCE_EXHAUSTED, "full"), None),
    ],
)
def test_outputs_that_change_after_the_response_are_the_workers_fault(
    error: RequestError, rule: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(worker_request, "collect", fail)
    requests: Any = worker_request.WorkerRequests.__new__(worker_request.WorkerRequests)
    requests._config = SimpleNamespace(absolute_symlinks=True)
    action = SimpleNamespace(command=None, store=None)
    task = SimpleNamespace(action=action, progress=SimpleNamespace(timeline=None, outputs=None))
    with pytest.raises(RequestError) as failure:
        requests._collect(task, SimpleNamespace(root=None), ALIVE)
    if rule is None:
        assert failure.value is error
    else:
        assert isinstance(failure.value, WorkerFailure)
        assert (failure.value.rule, failure.value.is_violation) == (rule, True)
        assert not failure.value.was_unread


def test_the_memory_of_a_process_that_is_gone_is_no_reason_for_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    resident_memory._warn_once.cache_clear()
    assert resident_memory.resident_bytes(2**30) == 0
    assert caplog.messages == []
    assert resident_memory.resident_bytes(os.getpid()) > 1 << 20
