"""A worker's process and its pipes: reads, writes, ends the process, and describes how it failed.

This module does not know the messages that the pipes carry.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import math
import os
import select
import signal
import sys
import termios
import time
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from rpw_fixture.errors import Code
from rpw_fixture.processes.spawner import Exit, Process
from rpw_fixture.wire.worker.messages import FrameError
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.stderr_tail import StderrTail

#: Capacity of a pipe of the default size.
READ_BYTES = 1 << 16
_MOST_STATUS = 8192
#: Position of the main thread's pending signals behind the name in /proc/PID/stat.
_PENDING = 28
#: How long a worker that closed its pipes, or was killed, may take to end, seconds.
_EXIT_PATIENCE = 3.0
#: A fatal signal makes SIGKILL pending in every thread, whatever signal it was.
_KILLED = 1 << (signal.SIGKILL - 1)
_IN = select.POLLIN | select.POLLHUP | select.POLLERR
_OUT = select.POLLOUT | select.POLLHUP | select.POLLERR


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """The server's ends of a worker's standard streams, or the worker's ends."""

    stdin: int
    stdout: int
    stderr: int

    def close(self) -> None:
        """Close all three descriptors."""
        for fd in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                os.close(fd)


def make_pipes() -> tuple[Pipes, Pipes]:
    """Return the server's ends (non-blocking) and the worker's ends of three standard streams."""
    stdin, stdout, stderr = os.pipe(), os.pipe(), os.pipe()
    ours = Pipes(stdin=stdin[1], stdout=stdout[0], stderr=stderr[0])
    for fd in (ours.stdin, ours.stdout, ours.stderr):
        os.set_blocking(fd, False)
    return ours, Pipes(stdin=stdin[0], stdout=stdout[1], stderr=stderr[1])


class ProcessPipes:
    """One worker process and the descriptors that lead to it.

    Args:
        number: the worker's number, for errors.
        process: the process, just started.
        pipes: the server's ends, non-blocking.
        start_timeout: seconds in which it must begin to read its stdin; 0 for no limit. The protocol
            has no message for "ready", but a worker that reads the first request is ready.

    Attributes:
        written: number of bytes that stdin took so far.
    """

    def __init__(
        self, number: int, process: Process, pipes: Pipes, start_timeout: float = 0.0
    ) -> None:
        self.process = process
        self.stderr = StderrTail(pipes.stderr)
        self.written = 0
        self._start_timeout = start_timeout
        self._started = time.monotonic()
        self._has_begun = not start_timeout
        self._number = number
        self._pipes = pipes
        self._is_stdin_open = True
        # "stat" is read in a third of the time of "status", but does not have everything.
        self._status = _open_in_proc(process.pid, "status")
        self._stat = _open_in_proc(process.pid, "stat")
        self._exit: Exit | None = None
        self._reading = select.poll()
        self._writing = select.poll()
        for poller in (self._reading, self._writing):
            for fd in (pipes.stdout, pipes.stderr, process.status_fd):
                poller.register(fd, _IN)
        self._writing.register(pipes.stdin, _OUT)

    def wait(self, timeout: float, *, to_write: bool = False) -> AbstractSet[int]:
        """Wait until stdout has data, the process has ended or, on demand, stdin takes more.

        Text on stderr is read and kept meanwhile.

        Returns:
            The descriptors that are ready; an empty set after ``timeout`` seconds.
        """
        poller = self._writing if to_write and self._is_stdin_open else self._reading
        ready = {fd for fd, _ in poller.poll(max(0.0, timeout) * 1000)}
        if self._pipes.stderr in ready and not self.stderr.drain():
            for each in (self._reading, self._writing):
                each.unregister(self._pipes.stderr)
        return ready

    def wait_to_write(self, timeout: float) -> None:
        """Wait until stdin takes more, or is closed, or ``timeout`` seconds passed."""
        poller = select.poll()
        poller.register(self._pipes.stdin, _OUT)
        poller.poll(max(0.0, timeout) * 1000)

    def write(self, unsent: memoryview) -> memoryview:
        """Write as much as stdin takes now, and return the rest.

        When the worker has closed its stdin, the rest is dropped: the worker may answer all the same, and
        if it does not, the end of its stdout shows that.
        """
        while unsent:
            try:
                count = os.write(self._pipes.stdin, unsent)
            except BlockingIOError:
                break
            except OSError:
                return unsent[:0]
            self.written += count
            unsent = unsent[count:]
        return unsent

    @property
    def consumed(self) -> int:
        """Number of bytes that the worker has read from its stdin; all of them where it is unknown."""
        if sys.platform != "linux" or not self._is_stdin_open:
            return self.written
        unread = array.array("i", [0])
        fcntl.ioctl(self._pipes.stdin, termios.FIONREAD, unread)
        return self.written - unread[0]

    @property
    def has_begun(self) -> bool:
        """Whether the worker has read any of its stdin; where unknown, whether anything was written."""
        return self.consumed > 0

    @property
    def start_deadline(self) -> float:
        """Deadline for it to begin reading, on the monotonic clock; infinity once it has begun."""
        self._has_begun = self._has_begun or sys.platform != "linux" or self.consumed > 0
        return math.inf if self._has_begun else self._started + self._start_timeout

    def read(self) -> bytes | None:
        """Return the data that is on stdout; None when there is none yet, empty bytes at the end."""
        try:
            return os.read(self._pipes.stdout, READ_BYTES)
        except BlockingIOError:
            return None

    @property
    def has_ended(self) -> bool:
        """Whether the process and all its descendants are gone."""
        return self.process.poll() is not None

    @property
    def is_quiet(self) -> bool:
        """Whether the process lives and all its output was read."""
        return not self._reading.poll(0)

    @property
    def is_dying(self) -> bool:
        """Whether a fatal signal is pending for the process, which has not ended yet (Linux).

        Its stdin still takes data until the kernel has run it once more.
        """
        fields = _read_again(self._stat).rpartition(b")")[2].split()
        return len(fields) > _PENDING and bool(int(fields[_PENDING]) & _KILLED)

    @property
    def peak_bytes(self) -> int:
        """Largest resident set of the process so far, bytes; 0 when it is gone, or not on Linux.

        Descendants do not count, because this is read after every request and must be fast.
        """
        fields = _read_again(self._status).partition(b"\nVmHWM:")[2].split(maxsplit=1)
        return int(fields[0]) << 10 if fields else 0

    @property
    def exit_status(self) -> int | None:
        """Exit status of the process; negative for a signal, None while it lives or when unknown."""
        ended = self._exit or self.process.poll()
        return None if ended is None or ended.lost else ended.status

    def close_stdin(self) -> None:
        """Close the worker's stdin, by which the protocol asks a worker to end."""
        if self._is_stdin_open:
            self._is_stdin_open = False
            self._writing.unregister(self._pipes.stdin)
            os.close(self._pipes.stdin)

    def kill(self) -> None:
        """Kill the worker with all its descendants and wait for their end."""
        self.process.kill_tree()
        self.wait_for_exit()

    def wait_for_exit(self) -> Exit | None:
        """Return how the process ended; kill it if it does not end within seconds."""
        self._exit = self._exit or self.process.wait(_EXIT_PATIENCE)
        if self._exit is None:
            self.process.kill_tree()
            self._exit = self.process.wait(_EXIT_PATIENCE)
        self.stderr.drain()
        return self._exit

    def close(self) -> None:
        """Close all descriptors; the process must have ended already."""
        self._exit = self._exit or self.process.poll()
        self.stderr.drain()
        self.process.close()
        self.close_stdin()
        for fd in (self._status, self._stat):
            if fd >= 0:
                os.close(fd)
        os.close(self._pipes.stdout)
        os.close(self._pipes.stderr)

    def crashed(self, how: str, sent_from: int) -> WorkerFailure:
        """Wait for the end of a worker that crashed, and return the failure.

        Args:
            how: what it did, as a part of the message, such as ``closed its stdout``.
            sent_from: value of `written` just before the request was sent.
        """
        ended = self.wait_for_exit()
        described = ended.description if ended is not None else "it can't be killed"
        return self._failure(
            Retirement.CRASH,
            f"it {how} before its response was complete ({described})",
            was_unread=sys.platform == "linux" and self.consumed <= sent_from,
        )

    def not_started(self) -> WorkerFailure:
        """Kill a worker that does not begin to read its first request, and return the failure."""
        self.kill()
        return self._failure(
            Retirement.START_TIMEOUT,
            f"it did not begin to read its first request within {self._start_timeout:g} s",
        )

    def timed_out(self, detail: str) -> WorkerFailure:
        """Kill a worker that took too long, and return the failure."""
        self.kill()
        return self._failure(Retirement.TIMEOUT, detail, code=Code.DEADLINE_EXCEEDED)

    def violated(self, error: FrameError) -> WorkerFailure:
        """Kill a worker that broke the protocol, and return the failure."""
        ended = self.process.poll()
        self.kill()
        suffix = f" ({ended.description})" if ended is not None else ""
        return self._failure(str(error.rule), error.detail + suffix, is_violation=True)

    def _failure(
        self,
        rule: str,
        detail: str,
        *,
        is_violation: bool = False,
        was_unread: bool = False,
        code: Code = Code.FAILED_PRECONDITION,
    ) -> WorkerFailure:
        # It was killed together with its supervisor, so it is not the worker's fault.
        if self._exit is not None and self._exit.lost:
            is_violation = False
            code = Code.UNAVAILABLE if code is Code.FAILED_PRECONDITION else code
        return WorkerFailure(
            worker=self._number,
            rule=rule,
            detail=detail,
            stderr_tail=self.stderr.text,
            exit_status=self.exit_status,
            is_violation=is_violation,
            was_unread=was_unread,
            code=code,
        )


def _open_in_proc(pid: int, name: str) -> int:
    """Open a file about a process in /proc, to be read repeatedly; return -1 where there is none."""
    try:
        return os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _read_again(fd: int) -> bytes:
    """Return the present content of a file of `_open_in_proc`; empty when the process is gone."""
    if fd < 0:
        return b""
    try:
        return os.pread(fd, _MOST_STATUS, 0)
    except OSError:
        return b""
