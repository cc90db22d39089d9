"""One request at a time, spoken by the thread that has it.

That thread waits on stdout, stderr, stdin and the process's end together, so a worker costs no
thread, and nothing it does or omits can block longer than the request's deadline.
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

#: How long after its stdout a worker's process may be told to have ended, seconds.
_EXIT_DELAY = 0.2


class Singleplex:
    """Speaks to a worker that takes one request after the other.

    Args:
        plumbing: the way to it.
        connection: the protocol's state.
        takes_cancel: it understands cancel messages; one that does not is killed.
        cancel_grace: seconds it has to answer a cancel message.
    """

    def __init__(
        self,
        plumbing: ProcessPipes,
        connection: Connection,
        *,
        takes_cancel: bool,
        cancel_grace: float,
    ) -> None:
        self._plumbing = plumbing
        self._connection = connection
        self._takes_cancel = takes_cancel
        self._cancel_grace = cancel_grace
        #: Held by whoever writes or asks for the state of the conversation: the thread of the
        #: request, and the one that cancels it.
        self._lock = threading.Lock()
        self._unsent = memoryview(b"")

    def new_request_id(self) -> int:
        """0, which says that the worker is a singleplex one."""
        return 0

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Sends a request and waits for its response.

        Raises:
            WorkerFailure: the worker must not be used again.
            RequestError: CANCELLED; the worker can be used again.
        """
        sent_from = self._plumbing.written
        if self._plumbing.is_dying:
            raise self._plumbing.crashed("was killed", sent_from)
        with self._lock:
            self._unsent = memoryview(self._connection.send(request))
        try:
            with self._cancelled_by(token, request.request_id):
                response = self._converse(deadline, sent_from)
        except FrameError as error:
            raise self._plumbing.violated(error) from None
        if response.was_cancelled:
            token.check()
        return response

    def find_problem(self) -> IdleProblem | None:
        """What makes an idle worker unusable: it has ended, or said something unasked; else None."""
        if self._plumbing.is_quiet:
            return None
        self._plumbing.stderr.drain()
        if self._plumbing.has_ended:
            return IdleProblem(reason=Retirement.CRASHED_IDLE)
        data = self._plumbing.read()
        if data is None:
            return None
        if not data:
            # The end of its streams comes before the word that it has ended.
            if self._plumbing.process.wait(_EXIT_DELAY) is not None:
                return IdleProblem(reason=Retirement.CRASHED_IDLE)
            return IdleProblem(reason="closed its stdout between requests")
        violation = surplus(data)
        told = (str(violation.rule), violation.detail)
        return IdleProblem(reason=str(violation), violation=told)

    def close(self) -> None:
        """Nothing to give back."""

    def _converse(self, deadline: float, sent_from: int) -> Response:
        plumbing = self._plumbing
        while True:
            with self._lock:
                self._unsent = plumbing.write(self._unsent)
            until = min(deadline, plumbing.start_deadline)
            news = plumbing.wait(until - time.monotonic(), to_write=bool(self._unsent))
            # Asked before its last words are looked for.
            has_ended = plumbing.process.status_fd in news and plumbing.has_ended
            data = plumbing.read()
            if data:
                with self._lock:
                    responses = self._connection.receive(data)
                if responses:
                    if len(data) == READ_BYTES:  # else the pipe was empty then
                        self._refuse_surplus()
                    return responses[0]
            elif data is not None or has_ended:
                plumbing.wait_for_exit()  # half a frame is told together with how it ended
                self._connection.end()
                raise plumbing.crashed("ended" if data is None else "closed its stdout", sent_from)
            self._check_time(deadline)

    def _check_time(self, deadline: float) -> None:
        """Ends the waiting when its time is up, however much the worker still says."""
        now = time.monotonic()
        if now >= deadline:
            raise self._plumbing.timed_out(self._connection.describe_delay())
        if now >= self._plumbing.start_deadline:
            raise self._plumbing.not_started()

    def _refuse_surplus(self) -> None:
        """Looks once more at stdout: what a single write brought in two pieces is there by now."""
        more = self._plumbing.read()
        if more:
            raise surplus(more)

    @contextlib.contextmanager
    def _cancelled_by(self, token: CancelToken, request_id: int) -> Iterator[None]:
        """Within the block, a cancelled token asks the worker to give up, and kills it if it won't."""
        timer: threading.Timer | None = None
        is_over = False

        def cancel() -> None:
            nonlocal timer
            with self._lock:
                if is_over:  # the token calls back without its lock: this one comes too late
                    return
                if not self._ask_to_give_up(request_id):
                    self._plumbing.process.kill_tree()
                    return
                timer = threading.Timer(self._cancel_grace, self._plumbing.process.kill_tree)
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

    def _ask_to_give_up(self, request_id: int) -> bool:
        """Sends a cancel message; False when only killing helps."""
        if not self._takes_cancel or self._unsent:  # it can't go in the middle of the request
            return False
        message = self._connection.cancel(request_id)
        return not self._plumbing.write(memoryview(message))
