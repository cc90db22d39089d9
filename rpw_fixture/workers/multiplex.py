"""Overlapping requests to one worker: each caller writes its request, one thread reads for all."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.support.thread_pool import start_thread
from rpw_fixture.wire.worker.messages import FrameError, Request, Response
from rpw_fixture.workers.failure import IdleProblem, WorkerFailure
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.process_pipes import ProcessPipes
from rpw_fixture.workers.protocol import Connection

#: How often a thread checks whether what it waits for can still happen, seconds.
_TICK = 0.5
#: How long the thread that finds a failure may take to kill the worker and describe the cause, seconds.
_FAILURE_TIMEOUT = 15.0
_STDIN_UNREAD = "it does not read its stdin"


@dataclass(slots=True, eq=False)
class _Call:
    """A request that waits for its response.

    Attributes:
        number: the request_id.
        changed: notified when there may be something new; its lock is the conversation's.
        sent_from: number of bytes that the worker's stdin had taken before the request.
        is_given_up: the response is no longer needed, although the worker may still work on it.
    """

    number: int
    changed: threading.Condition
    response: Response | None = None
    sent_from: int | None = None
    is_given_up: bool = False


class Multiplex:
    """A conversation with a worker that takes overlapping requests, with ids from 1 up.

    A failure of the worker fails all its requests. The thread that notices the failure first kills
    the worker.

    Args:
        pipes: the worker's process and the pipes to it.
        connection: state of the protocol.
        takes_cancel: the worker understands cancel messages. A worker that does not is left to
            finish, and its response is dropped; it is killed when all its requests were given up.
        cancel_grace: seconds in which it must answer a cancel message, else it is killed.
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
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._has_failed = False
        self._cause: _Call | None = None
        self._failure: WorkerFailure | None = None
        self._consumed = 0
        self._failure_known = threading.Event()
        self._is_closed = False
        self._reader = threading.Thread(target=self._read, name="rpw-multiplex", daemon=True)
        start_thread(self._reader)

    def new_request_id(self) -> int:
        """Return a request_id that was not used before."""
        return next(self._ids)

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Send a request and wait for its response.

        Raises:
            WorkerFailure: the worker must not be used again, for any request.
            RequestError: CANCELLED, or DEADLINE_EXCEEDED when the worker gave the request up in
                time; it can be used again.
        """
        call = _Call(request.request_id, threading.Condition(self._lock))
        if self._pipes.is_dying:
            self._fail_all(partial(self._pipes.crashed, "was killed", 0))
        with self._lock:
            is_usable = not self._has_failed
            if is_usable:
                data = self._connection.send(request)
                self._calls[call.number] = call
        if is_usable:
            self._write(data, deadline, call, token)
            self._await_response(call, deadline, token)
        if call.response is None:
            raise self._failure_of(call)
        token.check()
        if call.is_given_up or call.response.was_cancelled:
            raise RequestError(
                Code.DEADLINE_EXCEEDED, "the worker gave the request up after the action's timeout"
            )
        return call.response

    def find_problem(self) -> IdleProblem | None:
        """Return why the worker is unusable; None when it is usable."""
        if not self._has_failed:
            return IdleProblem(reason=Retirement.CRASHED_IDLE) if self._pipes.has_ended else None
        failure = self._failure
        if failure is None or failure.rule == Retirement.CRASH:
            return IdleProblem(reason=Retirement.CRASHED_IDLE)
        violation = (failure.rule, failure.detail) if failure.is_violation else None
        return IdleProblem(reason=f"{failure.rule}: {failure.detail}", violation=violation)

    def close(self) -> None:
        """End the reading thread and all writing; the process must have ended already."""
        self._is_closed = self._has_failed = True
        # The number of a closed descriptor may be reused: wait for the last write.
        with self._write_lock:
            pass
        if self._reader is not threading.current_thread():
            self._reader.join()

    def _await_response(self, call: _Call, deadline: float, token: CancelToken) -> None:
        """Wait until there is a response, or the worker has failed."""

        def wake() -> None:
            with self._lock:
                call.changed.notify()

        with token.calling(wake), self._lock:
            until = min(deadline, self._pipes.start_deadline)
            while not (token.is_cancelled or self._is_settled(call) or time.monotonic() >= until):
                call.changed.wait(until - time.monotonic())
                until = min(deadline, self._pipes.start_deadline)
        if self._is_settled(call):
            return
        if not token.is_cancelled and until < deadline:
            self._fail_all(self._pipes.not_started, call)
        else:
            self._give_up(call, deadline)

    def _give_up(self, call: _Call, deadline: float) -> None:
        """Cancel the request: by a cancel message, by waiting for it to end, or by killing the worker."""
        with self._lock:
            call.is_given_up = True
            message = self._connection.cancel(call.number) if self._takes_cancel else b""
        has_time = bool(message) or time.monotonic() < deadline
        until = time.monotonic() + (self._cancel_grace if has_time else 0)
        if message:
            self._write(message, until)
        while not self._wait_until(call, until):
            if message or time.monotonic() >= deadline or self._are_all_given_up():
                self._fail_all(partial(self._overdue, call, bool(message)), call)
                return
            until = min(deadline, time.monotonic() + self._cancel_grace)

    def _overdue(self, call: _Call, was_asked: bool) -> WorkerFailure:
        what = "ignored the cancel message for" if was_asked else "did not answer"
        delay = self._connection.describe_delay()
        return self._pipes.timed_out(f"it {what} request {call.number}; {delay}")

    def _wait_until(self, call: _Call, until: float) -> bool:
        with self._lock:
            return call.changed.wait_for(
                lambda: self._is_settled(call), max(0.0, until - time.monotonic())
            )

    def _is_settled(self, call: _Call) -> bool:
        return call.response is not None or self._has_failed

    def _are_all_given_up(self) -> bool:
        with self._lock:
            return all(call.is_given_up for call in self._calls.values())

    def _write(
        self,
        data: bytes,
        deadline: float,
        call: _Call | None = None,
        token: CancelToken | None = None,
    ) -> None:
        """Write all of it, unless the worker has failed or does not read until ``deadline``."""
        if not self._write_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            self._fail_all(lambda: self._pipes.timed_out(_STDIN_UNREAD), call)
            return
        try:
            if call is not None:
                call.sent_from = self._pipes.written
            unsent = memoryview(data)
            while not self._has_failed and (unsent := self._pipes.write(unsent)):
                if token is not None and token.is_cancelled:
                    deadline = min(deadline, time.monotonic() + self._cancel_grace)
                if time.monotonic() >= deadline:
                    self._fail_all(lambda: self._pipes.timed_out(_STDIN_UNREAD), call)
                    return
                self._pipes.wait_to_write(min(_TICK, deadline - time.monotonic()))
        finally:
            self._write_lock.release()

    def _read(self) -> None:
        """Hand out responses until the worker has ended; runs in the reading thread."""
        pipes = self._pipes
        try:
            while not self._is_closed:
                pipes.wait(_TICK)
                # Looked at before the read, or output written just before the end could be missed.
                has_ended = pipes.has_ended
                data = pipes.read()
                if data:
                    self._hand_out(data)
                elif data is not None or has_ended:
                    with self._lock:
                        self._connection.end()
                    how = "ended" if data is None else "closed its stdout"
                    self._fail_all(partial(pipes.crashed, how, 0))
                    return
        except FrameError as error:
            self._fail_all(partial(pipes.violated, error))

    def _hand_out(self, data: bytes) -> None:
        with self._lock:
            for response in self._connection.receive(data):
                call = self._calls.pop(response.request_id)
                call.response = response
                call.changed.notify()

    def _fail_all(self, describe: Callable[[], WorkerFailure], cause: _Call | None = None) -> None:
        """Mark the worker as failed, once, and wake all callers.

        Args:
            describe: kills the worker and returns the failure.
            cause: the request that caused it, if one did.
        """
        with self._lock:
            if self._has_failed:
                return
            self._has_failed = True
            self._cause = cause
        try:
            self._failure = describe()
            self._consumed = self._pipes.consumed
        finally:
            with self._lock:
                for call in self._calls.values():
                    call.changed.notify()
            self._failure_known.set()

    def _failure_of(self, call: _Call) -> WorkerFailure:
        """Return the worker's failure as the error of one of its requests."""
        self._failure_known.wait(_FAILURE_TIMEOUT)
        failure = self._failure
        if failure is None:
            return self._pipes.timed_out("it can't be killed")
        if call is self._cause:
            return failure
        sent_from = call.sent_from
        has_crashed = failure.rule == Retirement.CRASH
        was_unread = sent_from is None or (has_crashed and self._consumed <= sent_from)
        had_read_others = was_unread and self._consumed > 0
        return failure.for_another(was_unread=was_unread, had_read_others=had_read_others)
