"""One worker process and the pipes to it.

The thread that has a request does the reading and writing itself: it waits on stdout, stderr, stdin
and the process's end together, so a worker costs no thread, and nothing it does or omits can block
longer than the request's deadline.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from dataclasses import dataclass

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.errors import Code
from rpw_fixture.execution.processes import Exit, Process
from rpw_fixture.wire.worker_frames import FrameError, Request, Response, surplus
from rpw_fixture.workers.connection import Connection
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.lifecycle import State, moved
from rpw_fixture.workers.stderr import StderrTail

_READ = 1 << 18
#: How long a worker that closed its pipes, or was killed, may take to be gone, seconds.
_EXIT_PATIENCE = 3.0
_IN = select.POLLIN | select.POLLHUP | select.POLLERR


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipes:
    """Our ends of a worker's standard streams."""

    stdin: int
    stdout: int
    stderr: int

    def close(self) -> None:
        """Closes all three."""
        for fd in (self.stdin, self.stdout, self.stderr):
            with contextlib.suppress(OSError):
                os.close(fd)


class Worker:
    """A live worker process; one request at a time.

    Args:
        number: never used twice in one server.
        key: what it may serve.
        process: the process, just started.
        pipes: to its standard streams, all non-blocking.
        connection: the protocol's state.
        folder: its folder, which holds its working directory.
    """

    def __init__(
        self,
        *,
        number: int,
        key: WorkerKey,
        process: Process,
        pipes: Pipes,
        connection: Connection,
        folder: str,
    ) -> None:
        self.number = number
        self.key = key
        self.process = process
        self.folder = folder
        self.requests = 0
        self.idle_since = 0.0
        self.stderr = StderrTail(pipes.stderr)
        self._state = State.STARTING
        self._pipes = pipes
        self._connection = connection
        self._is_stdin_open = True
        self._exit: Exit | None = None
        self._reading = select.poll()
        self._watch(self._reading)
        self._writing = select.poll()
        self._watch(self._writing)
        self._writing.register(pipes.stdin, select.POLLOUT | select.POLLERR | select.POLLHUP)

    @property
    def state(self) -> State:
        """Where it stands in its life."""
        return self._state

    def move(self, to: State) -> None:
        """Changes the state.

        Raises:
            ValueError: when there is no such way (see `lifecycle`).
        """
        self._state = moved(self._state, to)

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Sends a request and waits for its response.

        Args:
            request: what to send.
            deadline: on the monotonic clock.
            token: when cancelled, the worker is killed.

        Raises:
            WorkerFailure: the worker must not be used again.
        """
        self.stderr.drain()
        self.stderr.mark()
        self.requests += 1
        data = self._connection.send(request)
        try:
            with token.calling(self.process.kill_tree):
                return self._converse(memoryview(data), deadline)
        except FrameError as error:
            ended = self.process.poll()
            self.kill()
            raise self._violation(error, ended) from None
        except WorkerFailure:
            token.check()
            raise

    def find_fault(self) -> str | None:
        """What makes an idle worker unusable: it has ended, or said something unasked; else None."""
        self.stderr.drain()
        if self.process.poll() is not None:
            return "ended between requests"
        try:
            data = os.read(self._pipes.stdout, _READ)
        except BlockingIOError:
            return None
        return str(surplus(data)) if data else "closed its stdout between requests"

    def close_stdin(self) -> None:
        """Asks the worker to end, as the protocol says it."""
        if self._is_stdin_open:
            self._is_stdin_open = False
            self._writing.unregister(self._pipes.stdin)
            os.close(self._pipes.stdin)

    def kill(self) -> Exit | None:
        """Kills the worker with all its descendants and waits for their end."""
        self.process.kill_tree()
        return self._wait_for_exit()

    def close(self) -> None:
        """Gives back what the process held; it must have ended."""
        self._exit = self._exit or self.process.poll()
        self.stderr.drain()
        self.process.close()
        if not self._is_stdin_open:
            os.close(self._pipes.stdout)
            os.close(self._pipes.stderr)
        else:
            self._is_stdin_open = False
            self._pipes.close()

    @property
    def exit_status(self) -> int | None:
        """Of the process; negative for a signal, None while it lives or when it was lost."""
        ended = self._exit or self.process.poll()
        return None if ended is None or ended.lost else ended.status

    def _converse(self, unsent: memoryview, deadline: float) -> Response:
        while True:
            unsent = self._write(unsent)
            poller = self._writing if unsent else self._reading
            remaining = deadline - time.monotonic()
            ready = {fd for fd, _ in poller.poll(max(0.0, remaining) * 1000)}
            if not ready and remaining <= 0:
                raise self._timed_out()
            if self._pipes.stderr in ready and not self.stderr.drain():
                self._forget(self._pipes.stderr)
            if self._pipes.stdout in ready and (response := self._read()) is not None:
                return response
            if self.process.status_fd in ready and self.process.poll() is not None:
                return self._last_words()

    def _write(self, unsent: memoryview) -> memoryview:
        while unsent:
            try:
                unsent = unsent[os.write(self._pipes.stdin, unsent) :]
            except BlockingIOError:
                break
            except BrokenPipeError:
                # It may have answered before it closed its stdin; the reading side will tell.
                return unsent[:0]
        return unsent

    def _read(self) -> Response | None:
        """The response, once all of it is here.

        Raises:
            FrameError: for bytes that are no response to the open request.
            WorkerFailure: when stdout has ended.
        """
        try:
            data = os.read(self._pipes.stdout, _READ)
        except BlockingIOError:
            return None
        if not data:
            self._wait_for_exit()
            raise self._crashed("closed its stdout")
        responses = self._connection.receive(data)
        if not responses:
            return None
        self._refuse_surplus()
        return responses[0]

    def _refuse_surplus(self) -> None:
        """Looks once more at stdout: what a single write brought in two pieces is there by now."""
        with contextlib.suppress(BlockingIOError):
            more = os.read(self._pipes.stdout, _READ)
            if more:
                raise surplus(more)

    def _last_words(self) -> Response:
        """The process has ended: the response may still be in the pipe."""
        while True:
            try:
                data = os.read(self._pipes.stdout, _READ)
            except BlockingIOError:
                data = b""
            if not data:
                raise self._crashed("ended")
            responses = self._connection.receive(data)
            if responses:
                return responses[0]

    def _wait_for_exit(self) -> Exit | None:
        self._exit = self._exit or self.process.wait(_EXIT_PATIENCE)
        if self._exit is None:
            self.process.kill_tree()
            self._exit = self.process.wait(_EXIT_PATIENCE)
        self.stderr.drain()
        return self._exit

    def _crashed(self, how: str) -> WorkerFailure:
        self._connection.end()
        ended = self._wait_for_exit()
        described = ended.description if ended is not None else "it can't be killed"
        return WorkerFailure(
            worker=self.number,
            rule="crash",
            detail=f"it {how} before its response was complete ({described})",
            stderr_tail=self.stderr.text,
            exit_status=self.exit_status,
        )

    def _timed_out(self) -> WorkerFailure:
        pending: str = ""
        try:
            self._connection.end()
        except FrameError as error:
            pending = f"; of a response, {error}"
        self.kill()
        return WorkerFailure(
            worker=self.number,
            rule="timeout",
            detail=f"no complete response within the action's timeout{pending}",
            stderr_tail=self.stderr.text,
            exit_status=self.exit_status,
            code=Code.DEADLINE_EXCEEDED,
        )

    def _violation(self, error: FrameError, ended: Exit | None) -> WorkerFailure:
        """``ended`` tells how the worker had ended before we killed it, if it had."""
        detail = error.detail + (f" ({ended.description})" if ended is not None else "")
        return WorkerFailure(
            worker=self.number,
            rule=str(error.rule),
            detail=detail,
            stderr_tail=self.stderr.text,
            exit_status=self.exit_status,
            is_violation=True,
        )

    def _watch(self, poller: select.poll) -> None:
        for fd in (self._pipes.stdout, self._pipes.stderr, self.process.status_fd):
            poller.register(fd, _IN)

    def _forget(self, fd: int) -> None:
        with contextlib.suppress(KeyError):
            self._reading.unregister(fd)
            self._writing.unregister(fd)
