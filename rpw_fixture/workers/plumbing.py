"""A worker's process and the pipes to it: reading, writing, ending, and telling how it failed.

Nothing here knows what is said over the pipes.
"""

from __future__ import annotations

import contextlib
import os
import select
from dataclasses import dataclass

from rpw_fixture.errors import Code
from rpw_fixture.execution.processes import Exit, Process
from rpw_fixture.wire.worker_frames import FrameError
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.stderr import StderrTail

_READ = 1 << 18
#: How long a worker that closed its pipes, or was killed, may take to be gone, seconds.
_EXIT_PATIENCE = 3.0
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


class Plumbing:
    """One worker process, seen through its descriptors.

    Args:
        number: of the worker, for errors.
        process: just started.
        pipes: our ends, non-blocking.
    """

    def __init__(self, number: int, process: Process, pipes: Pipes) -> None:
        self.process = process
        self.stderr = StderrTail(pipes.stderr)
        self._number = number
        self._pipes = pipes
        self._is_stdin_open = True
        self._is_stderr_open = True
        self._exit: Exit | None = None
        self._reading = select.poll()
        self._writing = select.poll()
        for poller in (self._reading, self._writing):
            for fd in (pipes.stdout, pipes.stderr, process.status_fd):
                poller.register(fd, _IN)
        self._writing.register(pipes.stdin, _OUT)

    def wait(self, timeout: float, *, to_write: bool = False) -> bool:
        """Waits until stdout has something, the process has ended or, on demand, stdin takes more.

        What comes on stderr meanwhile is read and kept.

        Returns:
            False when ``timeout`` seconds passed and nothing happened at all.
        """
        poller = self._writing if to_write and self._is_stdin_open else self._reading
        ready = poller.poll(max(0.0, timeout) * 1000)
        if any(fd == self._pipes.stderr for fd, _ in ready) and not self.stderr.drain():
            self._is_stderr_open = False
            for each in (self._reading, self._writing):
                each.unregister(self._pipes.stderr)
        return bool(ready)

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
                unsent = unsent[os.write(self._pipes.stdin, unsent) :]
            except BlockingIOError:
                break
            except OSError:
                return unsent[:0]
        return unsent

    def read(self) -> bytes | None:
        """What is on stdout; None for nothing yet, no bytes at its end."""
        try:
            return os.read(self._pipes.stdout, _READ)
        except BlockingIOError:
            return None

    @property
    def has_ended(self) -> bool:
        """Whether the process and all its descendants are gone."""
        return self.process.poll() is not None

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
        os.close(self._pipes.stdout)
        os.close(self._pipes.stderr)

    def crashed(self, how: str) -> WorkerFailure:
        """The failure of a worker that is no longer there; waits for its end."""
        ended = self.wait_for_exit()
        described = ended.description if ended is not None else "it can't be killed"
        return self._failure("crash", f"it {how} before its response was complete ({described})")

    def timed_out(self, detail: str) -> WorkerFailure:
        """The failure of a worker that took too long; kills it."""
        self.kill()
        return self._failure("timeout", detail, code=Code.DEADLINE_EXCEEDED)

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
        code: Code = Code.FAILED_PRECONDITION,
    ) -> WorkerFailure:
        return WorkerFailure(
            worker=self._number,
            rule=rule,
            detail=detail,
            stderr_tail=self.stderr.text,
            exit_status=self.exit_status,
            is_violation=is_violation,
            code=code,
        )
