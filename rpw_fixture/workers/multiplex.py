"""Many requests at a time to one worker: whoever has one writes it, one thread reads for all."""

from __future__ import annotations

import dataclasses
import itertools
import threading
import time
from dataclasses import dataclass, field

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.errors import Code, RequestError
from rpw_fixture.wire.worker_frames import FrameError, Request, Response
from rpw_fixture.workers.connection import Connection
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.plumbing import Plumbing

#: How often the reading thread looks whether it is still needed, seconds.
_TICK = 0.5


@dataclass(slots=True, eq=False)
class _Call:
    """A request that waits for its response."""

    done: threading.Event = field(default_factory=threading.Event)
    response: Response | None = None


class Multiplex:
    """Speaks to a worker that takes overlapping requests, with ids from 1 up.

    Args:
        plumbing: the way to it.
        connection: the protocol's state.
        cancel_grace: seconds a worker has to answer a cancel message; None for a worker that takes
            none: its answer is awaited, then dropped.
    """

    def __init__(
        self, plumbing: Plumbing, connection: Connection, cancel_grace: float | None
    ) -> None:
        self._plumbing = plumbing
        self._connection = connection
        self._cancel_grace = cancel_grace
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._failure: WorkerFailure | None = None
        self._is_closed = False
        self._reader = threading.Thread(target=self._read, name="rpw-multiplex", daemon=True)
        self._reader.start()

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Sends a request under an id of its own and waits for the response to it.

        Raises:
            WorkerFailure: the worker must not be used again, by anybody.
            RequestError: CANCELLED, or DEADLINE_EXCEEDED when the worker gave the request up in
                time; it can be used again.
        """
        call = _Call()
        with self._lock:
            self._raise_failure()
            number = next(self._ids)
            data = self._connection.send(dataclasses.replace(request, request_id=number))
            self._calls[number] = call
        self._write(data, deadline)
        with token.calling(call.done.set):
            call.done.wait(max(0.0, deadline - time.monotonic()))
        if call.response is None:
            self._give_up(number, call, deadline)
        token.check()
        if call.response is None or call.response.was_cancelled:
            raise RequestError(
                Code.DEADLINE_EXCEEDED, "the worker gave the request up when its time was over"
            )
        return call.response

    def find_fault(self) -> str | None:
        """What makes the worker unusable; None when nothing does."""
        failure = self._failure
        return None if failure is None else f"{failure.rule}: {failure.detail}"

    def close(self) -> None:
        """Ends the reading thread; the process must have ended."""
        self._is_closed = True
        if self._reader is not threading.current_thread():
            self._reader.join()

    def _give_up(self, number: int, call: _Call, deadline: float) -> None:
        """Gets the request off the worker: by a cancel message, by patience, or by killing it."""
        with self._lock:
            self._raise_failure()
            message = self._connection.cancel(number) if self._cancel_grace else b""
        if message:
            self._write(message, time.monotonic() + (self._cancel_grace or 0))
        call.done.clear()
        if call.response is None:
            wait = deadline - time.monotonic() if self._cancel_grace is None else self._cancel_grace
            call.done.wait(max(0.0, wait))
        if call.response is None:
            with self._lock:
                self._raise_failure()
            why = "ignored the cancel message" if message else "did not answer"
            raise self._fail(
                self._plumbing.timed_out(f"it {why}; {self._connection.describe_delay()}")
            )

    def _write(self, data: bytes, deadline: float) -> None:
        unsent = memoryview(data)
        if not self._write_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            raise self._fail(self._plumbing.timed_out("it does not read its stdin"))
        try:
            while unsent := self._plumbing.write(unsent):
                if time.monotonic() >= deadline or self._failure is not None:
                    raise self._fail(self._plumbing.timed_out("it does not read its stdin"))
                self._plumbing.wait_to_write(deadline - time.monotonic())
        finally:
            self._write_lock.release()

    def _read(self) -> None:
        """The reading thread: hands out responses until the worker is no more."""
        plumbing = self._plumbing
        try:
            while not self._is_closed:
                plumbing.wait(_TICK)
                data = plumbing.read()
                if data:
                    self._hand_out(data)
                elif data is not None:
                    self._fail(self._ended("closed its stdout"))
                    return
                elif plumbing.has_ended:
                    self._fail(self._ended("ended"))
                    return
        except FrameError as error:
            self._fail(plumbing.violated(error))

    def _hand_out(self, data: bytes) -> None:
        with self._lock:
            for response in self._connection.receive(data):
                call = self._calls.pop(response.request_id)
                call.response = response
                call.done.set()

    def _ended(self, how: str) -> WorkerFailure:
        self._connection.end()
        return self._plumbing.crashed(how)

    def _fail(self, failure: WorkerFailure) -> WorkerFailure:
        """Notes the failure, which is the first one's if there was one, and tells all who wait."""
        with self._lock:
            self._failure = self._failure or failure
            calls = list(self._calls.values())
        for call in calls:
            call.done.set()
        return self._failure

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
