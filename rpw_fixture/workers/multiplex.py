"""Many requests at a time to one worker: whoever has one writes it, one thread reads for all."""

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

#: How often a thread looks whether what it waits for can still come, seconds.
_TICK = 0.5
#: How long the first who finds a failure may take to kill the worker and tell the cause, seconds.
_VERDICT_PATIENCE = 15.0
_DEAF = "it does not read its stdin"


@dataclass(slots=True, eq=False)
class _Call:
    """A request that waits for its response.

    Attributes:
        number: its request_id.
        changed: told when there may be something new; its lock is the conversation's.
        sent_from: how many bytes the worker's stdin had taken before the request.
        is_given_up: nobody wants the response any more, though the worker may still work on it.
    """

    number: int
    changed: threading.Condition
    response: Response | None = None
    sent_from: int | None = None
    is_given_up: bool = False


class Multiplex:
    """Speaks to a worker that takes overlapping requests, with ids from 1 up.

    What goes wrong with the worker goes wrong for all its requests, and is told to each. It is the
    first one to notice who kills it.

    Args:
        plumbing: the way to it.
        connection: the protocol's state.
        takes_cancel: it understands cancel messages. The answer of one that does not is awaited, and
            dropped, unless nobody wants anything of it any more: then it is killed.
        cancel_grace: seconds it has to answer a cancel message, else it is killed.
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
        self._ids = itertools.count(1)
        self._lock = threading.Lock()
        self._write_lock = threading.Lock()
        self._calls: dict[int, _Call] = {}
        self._is_condemned = False
        self._culprit: _Call | None = None
        self._failure: WorkerFailure | None = None
        self._consumed = 0
        self._verdict = threading.Event()
        self._is_closed = False
        self._reader = threading.Thread(target=self._read, name="rpw-multiplex", daemon=True)
        start_thread(self._reader)

    def new_request_id(self) -> int:
        """An id that was not used before."""
        return next(self._ids)

    def call(self, request: Request, deadline: float, token: CancelToken) -> Response:
        """Sends a request and waits for the response to it.

        Raises:
            WorkerFailure: the worker must not be used again, by anybody.
            RequestError: CANCELLED, or DEADLINE_EXCEEDED when the worker gave the request up in
                time; it can be used again.
        """
        call = _Call(request.request_id, threading.Condition(self._lock))
        if self._plumbing.is_dying:
            self._fail_all(partial(self._plumbing.crashed, "was killed", 0))
        with self._lock:
            if not self._is_condemned:
                data = self._connection.send(request)
                self._calls[call.number] = call
        if call.number in self._calls:
            self._write(data, deadline, call, token)
            self._await_response(call, deadline, token)
        if call.response is None:
            raise self._failure_of(call)
        token.check()
        if call.is_given_up or call.response.was_cancelled:
            raise RequestError(
                Code.DEADLINE_EXCEEDED, "the worker gave the request up when its time was over"
            )
        return call.response

    def find_problem(self) -> IdleProblem | None:
        """What makes the worker unusable; None when nothing does."""
        if not self._is_condemned:
            return IdleProblem(reason=Retirement.CRASHED_IDLE) if self._plumbing.has_ended else None
        failure = self._failure
        if failure is None or failure.rule == Retirement.CRASH:
            return IdleProblem(reason=Retirement.CRASHED_IDLE)
        violation = (failure.rule, failure.detail) if failure.is_violation else None
        return IdleProblem(reason=f"{failure.rule}: {failure.detail}", violation=violation)

    def close(self) -> None:
        """Ends the reading thread and all writing; the process must have ended."""
        self._is_closed = self._is_condemned = True
        with self._write_lock:  # nobody may write to a descriptor that is about to be another's
            pass
        if self._reader is not threading.current_thread():
            self._reader.join()

    def _await_response(self, call: _Call, deadline: float, token: CancelToken) -> None:
        """Returns when there is a response, or a verdict on the worker."""

        def tell() -> None:
            with self._lock:
                call.changed.notify()

        with token.calling(tell), self._lock:
            until = min(deadline, self._plumbing.start_deadline)
            while not (token.is_cancelled or self._is_settled(call) or time.monotonic() >= until):
                call.changed.wait(until - time.monotonic())
                until = min(deadline, self._plumbing.start_deadline)
        if self._is_settled(call):
            return
        if not token.is_cancelled and until < deadline:
            self._fail_all(self._plumbing.not_started, call)
        else:
            self._give_up(call, deadline)

    def _give_up(self, call: _Call, deadline: float) -> None:
        """Gets the request off the worker: by a cancel message, by patience, or by killing it."""
        with self._lock:
            call.is_given_up = True
            message = self._connection.cancel(call.number) if self._takes_cancel else b""
        has_time = bool(message) or time.monotonic() < deadline
        until = time.monotonic() + (self._cancel_grace if has_time else 0)
        if message:
            self._write(message, until)
        while not self._wait_until(call, until):
            if message or time.monotonic() >= deadline or self._is_wanted_by_nobody():
                self._fail_all(partial(self._overdue, call, bool(message)), call)
                return
            until = min(deadline, time.monotonic() + self._cancel_grace)

    def _overdue(self, call: _Call, was_asked: bool) -> WorkerFailure:
        what = "ignored the cancel message for" if was_asked else "did not answer"
        delay = self._connection.describe_delay()
        return self._plumbing.timed_out(f"it {what} request {call.number}; {delay}")

    def _wait_until(self, call: _Call, until: float) -> bool:
        with self._lock:
            return call.changed.wait_for(
                lambda: self._is_settled(call), max(0.0, until - time.monotonic())
            )

    def _is_settled(self, call: _Call) -> bool:
        return call.response is not None or self._is_condemned

    def _is_wanted_by_nobody(self) -> bool:
        with self._lock:
            return all(call.is_given_up for call in self._calls.values())

    def _write(
        self,
        data: bytes,
        deadline: float,
        call: _Call | None = None,
        token: CancelToken | None = None,
    ) -> None:
        """Writes all of it, unless the worker is condemned or does not read until ``deadline``."""
        if not self._write_lock.acquire(timeout=max(0.0, deadline - time.monotonic())):
            self._fail_all(lambda: self._plumbing.timed_out(_DEAF), call)
            return
        try:
            if call is not None:
                call.sent_from = self._plumbing.written
            unsent = memoryview(data)
            while not self._is_condemned and (unsent := self._plumbing.write(unsent)):
                if token is not None and token.is_cancelled:
                    deadline = min(deadline, time.monotonic() + self._cancel_grace)
                if time.monotonic() >= deadline:
                    self._fail_all(lambda: self._plumbing.timed_out(_DEAF), call)
                    return
                self._plumbing.wait_to_write(min(_TICK, deadline - time.monotonic()))
        finally:
            self._write_lock.release()

    def _read(self) -> None:
        """The reading thread: hands out responses until the worker is no more."""
        plumbing = self._plumbing
        try:
            while not self._is_closed:
                plumbing.wait(_TICK)
                has_ended = plumbing.has_ended  # asked before its last words are looked for
                data = plumbing.read()
                if data:
                    self._hand_out(data)
                elif data is not None or has_ended:
                    with self._lock:
                        self._connection.end()
                    how = "ended" if data is None else "closed its stdout"
                    self._fail_all(partial(plumbing.crashed, how, 0))
                    return
        except FrameError as error:
            self._fail_all(partial(plumbing.violated, error))

    def _hand_out(self, data: bytes) -> None:
        with self._lock:
            for response in self._connection.receive(data):
                call = self._calls.pop(response.request_id)
                call.response = response
                call.changed.notify()

    def _fail_all(self, describe: Callable[[], WorkerFailure], cause: _Call | None = None) -> None:
        """Has the worker killed for a reason, unless it was before, and tells all who wait.

        Args:
            judge: kills it and names the cause.
            culprit: the request that is the cause, if it is one.
        """
        with self._lock:
            if self._is_condemned:
                return
            self._is_condemned = True
            self._culprit = cause
        try:
            self._failure = describe()
            self._consumed = self._plumbing.consumed
        finally:
            with self._lock:
                for call in self._calls.values():
                    call.changed.notify()
            self._verdict.set()

    def _failure_of(self, call: _Call) -> WorkerFailure:
        """The verdict on the worker as one of its requests is told."""
        self._verdict.wait(_VERDICT_PATIENCE)
        failure = self._failure
        if failure is None:
            return self._plumbing.timed_out("it can't be killed")
        if call is self._culprit:
            return failure
        sent_from = call.sent_from
        has_crashed = failure.rule == Retirement.CRASH
        was_unread = sent_from is None or (has_crashed and self._consumed <= sent_from)
        return failure.for_another(was_unread=was_unread)
