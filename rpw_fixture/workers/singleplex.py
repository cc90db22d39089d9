"""One request at a time, spoken by the thread that has it.

That thread waits on stdout, stderr, stdin and the process's end together, so a worker costs no
thread, and nothing it does or omits can block longer than the request's deadline.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.wire.worker_frames import FrameError, Request, Response, surplus
from rpw_fixture.workers.connection import Connection
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.plumbing import Plumbing


class Singleplex:
    """Speaks to a worker that takes one request after the other.

    Args:
        plumbing: the way to it.
        connection: the protocol's state.
        cancel_grace: seconds a worker has to answer a cancel message; None for a worker that takes
            none, which is killed.
    """

    def __init__(
        self, plumbing: Plumbing, connection: Connection, cancel_grace: float | None
    ) -> None:
        self._plumbing = plumbing
        self._connection = connection
        self._cancel_grace = cancel_grace

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Sends a request and waits for its response.

        Raises:
            WorkerFailure: the worker must not be used again.
            RequestError: CANCELLED; unless the worker is dead, it can be used again.
        """
        plumbing = self._plumbing
        data = memoryview(self._connection.send(request))
        try:
            with self._cancelled_by(token, request.request_id):
                response = self._converse(data, deadline)
        except FrameError as error:
            raise plumbing.violated(error) from None
        except WorkerFailure:
            token.check()
            raise
        if response.was_cancelled:
            token.check()
        return response

    def find_fault(self) -> str | None:
        """What makes an idle worker unusable: it has ended, or said something unasked; else None."""
        self._plumbing.stderr.drain()
        if self._plumbing.has_ended:
            return "ended between requests"
        data = self._plumbing.read()
        if data is None:
            return None
        return str(surplus(data)) if data else "closed its stdout between requests"

    def close(self) -> None:
        """Nothing to give back."""

    def _converse(self, unsent: memoryview, deadline: float) -> Response:
        plumbing = self._plumbing
        while True:
            unsent = plumbing.write(unsent)
            remaining = deadline - time.monotonic()
            plumbing.wait(remaining, to_write=bool(unsent))
            has_ended = plumbing.has_ended  # asked before its last words are looked for
            data = plumbing.read()
            if data:
                responses = self._connection.receive(data)
                if responses:
                    self._refuse_surplus()
                    return responses[0]
            elif data is not None or has_ended:
                self._connection.end()
                raise plumbing.crashed("ended" if data is None else "closed its stdout")
            if remaining <= 0:  # however much it still says, on whatever stream
                raise plumbing.timed_out(self._connection.describe_delay())

    def _refuse_surplus(self) -> None:
        """Looks once more at stdout: what a single write brought in two pieces is there by now."""
        more = self._plumbing.read()
        if more:
            raise surplus(more)

    @contextlib.contextmanager
    def _cancelled_by(self, token: CancelToken, request_id: int) -> Iterator[None]:
        """Within the block, a cancelled token asks the worker to give up, and kills it if it won't."""
        timer: threading.Timer | None = None

        def cancel() -> None:
            nonlocal timer
            message = self._connection.cancel(request_id) if self._cancel_grace else b""
            if not message or self._plumbing.write(memoryview(message)):
                self._plumbing.process.kill_tree()
                return
            timer = threading.Timer(self._cancel_grace or 0, self._plumbing.process.kill_tree)
            timer.start()

        try:
            with token.calling(cancel):
                yield
        finally:
            if timer is not None:
                timer.cancel()
                timer.join()
