"""A worker's process and the pipes to it: reading, writing, ending, and telling how it failed.

Nothing here knows what is said over the pipes.
"""

from __future__ import annotations

import array
import contextlib
import fcntl
import functools
import logging
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

#: What a pipe of the usual size can hold.
READ_BYTES = 1 << 16


_MOST_STATUS = 8192


#: Where the pending signals of the main thread stand behind the name in /proc/PID/stat.
_PENDING = 28


#: How long a worker that closed its pipes, or was killed, may take to be gone, seconds.
_EXIT_PATIENCE = 3.0


#: A fatal signal makes SIGKILL pending in every thread, whatever signal it was.
_KILLED = 1 << (signal.SIGKILL - 1)


_IN = select.POLLIN | select.POLLHUP | select.POLLERR


_OUT = select.POLLOUT | select.POLLHUP | select.POLLERR


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """Our ends of a worker's standard streams, or the worker's."""

    stdin: int
    stdout: int
    stderr: int

    def close(self) -> None:
        """Closes all three."""
        for fd in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                os.close(fd)


def make_pipes() -> tuple[Pipes, Pipes]:
    """Pipes for the three standard streams: our ends, non-blocking, and the worker's."""
    stdin, stdout, stderr = os.pipe(), os.pipe(), os.pipe()
    ours = Pipes(stdin=stdin[1], stdout=stdout[0], stderr=stderr[0])
    for fd in (ours.stdin, ours.stdout, ours.stderr):
        os.set_blocking(fd, False)
    return ours, Pipes(stdin=stdin[0], stdout=stdout[1], stderr=stderr[1])


class ProcessPipes:
    """One worker process, seen through its descriptors.

    Args:
        number: of the worker, for errors.
        process: just started.
        pipes: our ends, non-blocking.
        start_timeout: seconds after which it must have begun to read its stdin, 0 for no limit. The
            protocol has no word for "ready"; reading the first request is what shows it.

    Attributes:
        written: how many bytes stdin took so far.
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
        # Told twice by Linux: for people, and in a third of the time for programs, but not as much.
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
        """Waits until stdout has something, the process has ended or, on demand, stdin takes more.

        What comes on stderr meanwhile is read and kept.

        Returns:
            The descriptors of which there is news; none when ``timeout`` seconds passed without.
        """
        poller = self._writing if to_write and self._is_stdin_open else self._reading
        ready = {fd for fd, _ in poller.poll(max(0.0, timeout) * 1000)}
        if self._pipes.stderr in ready and not self.stderr.drain():
            for each in (self._reading, self._writing):
                each.unregister(self._pipes.stderr)
        return ready

    def wait_to_write(self, timeout: float) -> None:
        """Waits until stdin takes more, or is closed, or ``timeout`` seconds passed."""
        poller = select.poll()
        poller.register(self._pipes.stdin, _OUT)
        poller.poll(max(0.0, timeout) * 1000)

    def write(self, unsent: memoryview) -> memoryview:
        """Writes as much as stdin takes now; the rest.

        A worker that closed its stdin takes everything: it may have answered before, and if it did
        not, the reading side tells.
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
        """How many bytes the worker has read of its stdin; where that is not known, all of them."""
        if sys.platform != "linux" or not self._is_stdin_open:
            return self.written
        unread = array.array("i", [0])
        fcntl.ioctl(self._pipes.stdin, termios.FIONREAD, unread)
        return self.written - unread[0]

    @property
    def has_begun(self) -> bool:
        """Whether it has read any of what was written to it; where not known, whether it could."""
        return self.consumed > 0

    @property
    def start_deadline(self) -> float:
        """When it must have begun to read, on the monotonic clock; infinity once it has."""
        self._has_begun = self._has_begun or sys.platform != "linux" or self.consumed > 0
        return math.inf if self._has_begun else self._started + self._start_timeout

    def read(self) -> bytes | None:
        """What is on stdout; None for nothing yet, no bytes at its end."""
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
        """Whether the process lives and has said nothing that was not read yet."""
        return not self._reading.poll(0)

    @property
    def is_dying(self) -> bool:
        """Whether the process was killed, though it may not know yet (Linux).

        Until it is scheduled again it still takes what is written to its stdin.
        """
        fields = _read_again(self._stat).rpartition(b")")[2].split()
        return len(fields) > _PENDING and bool(int(fields[_PENDING]) & _KILLED)

    @property
    def peak_bytes(self) -> int:
        """The largest resident set the process ever had; 0 when it is gone, or not on Linux.

        Descendants do not count: this is asked after every request.
        """
        told = _read_again(self._status).partition(b"\nVmHWM:")[2].split(maxsplit=1)
        return int(told[0]) << 10 if told else 0

    @property
    def exit_status(self) -> int | None:
        """Of the process; negative for a signal, None while it lives or when it was lost."""
        ended = self._exit or self.process.poll()
        return None if ended is None or ended.lost else ended.status

    def close_stdin(self) -> None:
        """Asks the worker to end, as the protocol says it."""
        if self._is_stdin_open:
            self._is_stdin_open = False
            self._writing.unregister(self._pipes.stdin)
            os.close(self._pipes.stdin)

    def kill(self) -> None:
        """Kills the worker with all its descendants and waits for their end."""
        self.process.kill_tree()
        self.wait_for_exit()

    def wait_for_exit(self) -> Exit | None:
        """How the process ended; it is killed if it does not end soon by itself."""
        self._exit = self._exit or self.process.wait(_EXIT_PATIENCE)
        if self._exit is None:
            self.process.kill_tree()
            self._exit = self.process.wait(_EXIT_PATIENCE)
        self.stderr.drain()
        return self._exit

    def close(self) -> None:
        """Gives all descriptors back; the process must have ended."""
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
        """The failure of a worker that is no longer there; waits for its end.

        Args:
            how: in words.
            sent_from: what `written` was when the request was about to be sent.
        """
        ended = self.wait_for_exit()
        described = ended.description if ended is not None else "it can't be killed"
        return self._failure(
            Retirement.CRASH,
            f"it {how} before its response was complete ({described})",
            was_unread=sys.platform == "linux" and self.consumed <= sent_from,
        )

    def not_started(self) -> WorkerFailure:
        """The failure of a worker that does not begin to read its first request; kills it."""
        self.kill()
        return self._failure(
            Retirement.START_TIMEOUT,
            f"it did not begin to read its first request within {self._start_timeout:g} s",
        )

    def timed_out(self, detail: str) -> WorkerFailure:
        """The failure of a worker that took too long; kills it."""
        self.kill()
        return self._failure(Retirement.TIMEOUT, detail, code=Code.DEADLINE_EXCEEDED)

    def violated(self, error: FrameError) -> WorkerFailure:
        """The failure of a worker that broke the protocol; kills it."""
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
        if (
            self._exit is not None and self._exit.lost
        ):  # not the worker's fault, whatever it looks like
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
    """What Linux tells of a process, to be read again and again; -1 where there is nothing."""
    try:
        return os.open(f"/proc/{pid}/{name}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _read_again(fd: int) -> bytes:
    """A file of `_open_in_proc` as it is now; nothing when the process is gone."""
    if fd < 0:
        return b""
    try:
        return os.pread(fd, _MOST_STATUS, 0)
    except OSError:
        return b""


_log = logging.getLogger(__name__)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and its descendants, 0 when it is gone.

    Memory that they share counts once for each of them, so a launcher with one child says a little
    too much. Where the system does not let this process read it (macOS refuses for programs of another
    user, and some hardened kernels for all), that is reported once, because no limit can be kept then.
    """
    import psutil  # noqa: PLC0415 - only servers with a memory budget need it

    total = 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # gone meanwhile
                total += int(each.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
    except (psutil.Error, OSError, NotImplementedError) as error:
        _report(type(error).__name__)
    return total


@functools.cache
def _report(reason: str) -> None:
    """Say once that no memory limit is kept."""
    _log.warning(
        "--worker-max-rss can't be kept: the memory of workers can't be read here (%s: %s). "
        "Limit the worker itself, such as with a JVM's -Xmx, or use --worker-max-requests",
        sys.platform,
        reason,
    )
