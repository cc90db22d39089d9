"""One request at a time to a worker; the caller's thread sends it and awaits the response.

That thread waits for stdin, stdout, stderr and the end of the process at the same time. So a worker needs
no thread of the server, and whatever it does, it blocks the caller at most until the request's deadline.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire.worker.messages import FrameError, Request, Response
from rpw_fixture.wire.worker.stray_output import surplus
from rpw_fixture.workers.failure import IdleProblem
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.process_pipes import READ_BYTES, ProcessPipes
from rpw_fixture.workers.protocol import Connection

#: How long the exit status may arrive after the end of stdout, seconds.
_EXIT_DELAY = 0.2


class Singleplex:
    """A conversation with a worker that takes one request after the other.

    Args:
        pipes: the worker's process and the pipes to it.
        connection: state of the protocol.
        takes_cancel: the worker understands cancel messages; a worker that does not is killed.
        cancel_grace: seconds in which it must answer a cancel message.
    """

    def __init__(
        self,
        pipes: ProcessPipes,
        connection: Connection,
        *,
        takes_cancel: bool,
        cancel_grace: float,
    ) -> None:
        self._pipes = pipes
        self._connection = connection
        self._takes_cancel = takes_cancel
        self._cancel_grace = cancel_grace
        #: Guards writing and the state of the conversation against two threads: that of the request,
        #: and the one that cancels it.
        self._lock = threading.Lock()
        self._unsent = memoryview(b"")

    def new_request_id(self) -> int:
        """Return 0, the request_id of singleplex requests."""
        return 0

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Send a request and wait for its response.

        Raises:
            WorkerFailure: the worker must not be used again.
            RequestError: CANCELLED; the worker can be used again.
        """
        sent_from = self._pipes.written
        if self._pipes.is_dying:
            raise self._pipes.crashed("was killed", sent_from)
        with self._lock:
            self._unsent = memoryview(self._connection.send(request))
        try:
            with self._cancelled_by(token, request.request_id):
                response = self._converse(deadline, sent_from)
        except FrameError as error:
            raise self._pipes.violated(error) from None
        if response.was_cancelled:
            token.check()
        return response

    def find_problem(self) -> IdleProblem | None:
        """Return why an idle worker is unusable: it ended, or wrote to stdout; None when it is usable."""
        if self._pipes.is_quiet:
            return None
        self._pipes.stderr.drain()
        if self._pipes.has_ended:
            return IdleProblem(reason=Retirement.CRASHED_IDLE)
        data = self._pipes.read()
        if data is None:
            return None
        if not data:
            # EOF may precede the exit status.
            if self._pipes.process.wait(_EXIT_DELAY) is not None:
                return IdleProblem(reason=Retirement.CRASHED_IDLE)
            return IdleProblem(reason=Retirement.CLOSED_STDOUT)
        violation = surplus(data)
        return IdleProblem(reason=str(violation), violation=(str(violation.rule), violation.detail))

    def close(self) -> None:
        """Do nothing: this conversation holds no resources."""

    def _converse(self, deadline: float, sent_from: int) -> Response:
        pipes = self._pipes
        while True:
            with self._lock:
                self._unsent = pipes.write(self._unsent)
            until = min(deadline, pipes.start_deadline)
            news = pipes.wait(until - time.monotonic(), to_write=bool(self._unsent))
            # Looked at before the read, or output written just before the end could be missed.
            has_ended = pipes.process.status_fd in news and pipes.has_ended
            data = pipes.read()
            if data:
                with self._lock:
                    responses = self._connection.receive(data)
                if responses:
                    if len(data) == READ_BYTES:  # the pipe may hold more
                        self._refuse_surplus()
                    return responses[0]
            elif data is not None or has_ended:
                pipes.wait_for_exit()  # a truncated frame is reported together with the exit status
                self._connection.end()
                raise pipes.crashed("ended" if data is None else "closed its stdout", sent_from)
            self._check_time(deadline)

    def _check_time(self, deadline: float) -> None:
        """Raise when the time is over, even while the worker still writes."""
        now = time.monotonic()
        if now >= deadline:
            raise self._pipes.timed_out(self._connection.describe_delay())
        if now >= self._pipes.start_deadline:
            raise self._pipes.not_started()

    def _refuse_surplus(self) -> None:
        """Raise if there are more bytes on stdout after a response.

        Only the rest of the same write is noticed; it is there already.
        """
        more = self._pipes.read()
        if more:
            raise surplus(more)

    @contextlib.contextmanager
    def _cancelled_by(self, token: CancelToken, request_id: int) -> Iterator[None]:
        """Cancel the worker's request when the token is cancelled within the block, or kill the worker."""
        timer: threading.Timer | None = None
        is_over = False

        def cancel() -> None:
            nonlocal timer
            with self._lock:
                if (
                    is_over
                ):  # the token calls without its lock, so the call may come after the block
                    return
                if not self._send_cancel(request_id):
                    self._pipes.process.kill_tree()
                    return
                timer = threading.Timer(self._cancel_grace, self._pipes.process.kill_tree)
                timer.start()

        try:
            with token.calling(cancel):
                yield
        finally:
            with self._lock:
                is_over = True
            if timer is not None:
                timer.cancel()
                timer.join()

    def _send_cancel(self, request_id: int) -> bool:
        """Send a cancel message; return False when the worker has to be killed instead."""
        if not self._takes_cancel or self._unsent:  # it can't be sent in the middle of the request
            return False
        message = self._connection.cancel(request_id)
        return not self._pipes.write(memoryview(message))
