"""A session with one worker process under check: any mix of requests, and how the worker ends.

`workers.worker.Worker` serves actions and gives up at the first violation. This session sends requests
that overlap, are cancelled, arrive in pieces or have unknown fields, and describes output that no
request asked for.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time
from collections import deque
from typing import NamedTuple

from rpw_fixture.hermeticity.trials import process_facts, waiting
from rpw_fixture.hermeticity.trials.delivery import pieces
from rpw_fixture.hermeticity.trials.trial import Delivery, Ending
from rpw_fixture.processes.spawner import Process
from rpw_fixture.wire.varints import varint
from rpw_fixture.wire.worker.messages import Encoding, FrameError, ProtocolRule, Request, Response
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.wire.worker.stray_output import surplus
from rpw_fixture.workers.process_pipes import Pipes, ProcessPipes
from rpw_fixture.workers.protocol import Connection
from rpw_fixture.workers.stderr_tail import StderrTail

_MAX_FRAME = 64 << 20
_PATIENCE = 3.0
#: The start-up is over when the worker's processes used no CPU time for this long, seconds.
_REST, _REST_LIMIT = 0.08, 3.0
#: Seconds between two looks at whether the worker has read what was written.
_LOOK = 0.00005
#: Seconds between the two halves of a request, so that a reader which waits for the rest only for a
#: moment takes the first half for a whole one.
_CUT_PAUSE = 0.2
#: Seconds between two looks at a worker that has nothing to do.
_IDLE_LOOK = 0.05
#: Field 1000, length-delimited, with one byte of content.
_UNKNOWN_FIELD = varint(1000 << 3 | 2) + b"\x01x"

CRASH, TIMEOUT = "crash", "timeout"


class Failure(NamedTuple):
    """The reason for a missing response: the broken rule or the event, and the evidence."""

    rule: str
    detail: str


class _Piece(NamedTuple):
    """Bytes to write when everything before was read, and some seconds later.

    Attributes:
        is_rest: they are not the start of a request.
    """

    data: bytes
    is_rest: bool
    pause: float


class WorkerSession:
    """A session with a worker.

    Args:
        process: the process, just started.
        pipes: pipes to its standard streams, all non-blocking.
        encoding: the encoding of requests and responses.
    """

    def __init__(self, process: Process, pipes: Pipes, encoding: Encoding) -> None:
        self.process = process
        self._stdout = pipes.stdout
        self._pipes = ProcessPipes(0, process, pipes)
        self._own_ends = {"stdin": pipes.stdin, "stdout": pipes.stdout, "stderr": pipes.stderr}
        self._encoding = encoding
        self._connection = Connection(encoding, _MAX_FRAME)
        self._unsent = memoryview(b"")
        self._later: deque[_Piece] = deque()
        self._last_byte = b""
        self._inbox: deque[Response] = deque()
        #: Number of bytes that were written or queued before the newest request.
        self._sent_before = 0

    @property
    def stdin_name(self) -> str:
        """The system's name of the pipe to the worker's stdin; "" where that is not known."""
        try:
            return os.readlink(f"/proc/self/fd/{self._own_ends['stdin']}")
        except OSError:
            return ""

    @property
    def stderr(self) -> StderrTail:
        """The worker's stderr."""
        return self._pipes.stderr

    def send(
        self,
        request: Request,
        *,
        is_extended: bool = False,
        delivery: Delivery = Delivery.WHOLE,
    ) -> None:
        """Queue a request, which the next `receive` writes.

        Args:
            request: the request.
            is_extended: add an unknown field.
            delivery: how to split it. Each piece is written when the worker has read the one before;
                on other systems than Linux, where that is unknown, pieces may be joined.
        """
        self._sent_before = self._pipes.written + len(self._unsent)
        data = self._connection.send(request)
        data = _extended(data, self._encoding) if is_extended else data
        if delivery is Delivery.WHOLE:
            self._queue(data)
            return
        pause = _CUT_PAUSE if delivery is Delivery.SPLIT_BODY else 0.0
        for number, piece in enumerate(pieces(data, delivery)):
            is_rest = number > 0
            self._later.append(_Piece(piece, is_rest, pause if is_rest else 0.0))

    def cancel(self, request_id: int) -> None:
        """Queue a cancel request, also for an answered request; the next `receive` writes it."""
        data = self._connection.cancel(request_id)
        self._queue(data or self._encoding.encode(Request(request_id=request_id, cancel=True)))

    def hand_over(self, deadline: float) -> None:
        """Write everything; return when the worker has read it or has ended, or at ``deadline``."""
        while time.monotonic() < deadline and not self._pipes.has_ended:
            self._unsent = self._pipes.write(self._unsent)
            if not self._unsent and self._pipes.consumed >= self._pipes.written:
                return
            self._pipes.wait(0)  # reads stderr, which must not fill up
            time.sleep(_LOOK)

    def listen(self, seconds: float) -> Failure | None:
        """Return what the worker writes to stdout within ``seconds`` although no response is due."""
        self._pipes.wait(seconds)
        return self.find_surplus()

    def stay_idle(self, seconds: float) -> None:
        """Send nothing for that long, or until the worker has ended."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and not self._pipes.has_ended:
            self._pipes.wait(0)  # reads stderr, which must not fill up
            time.sleep(_IDLE_LOOK)

    def await_event(self, descriptor: int, deadline: float) -> bool:
        """Write everything and wait; return whether a descriptor becomes readable before any output.

        It counts as readable at ``deadline`` (monotonic seconds).
        """
        poller = select.poll()
        for fd in (descriptor, self._stdout):
            poller.register(fd, select.POLLIN)
        while (remaining := deadline - time.monotonic()) > 0:
            self._unsent = self._pipes.write(self._unsent)
            # What does not fit into the pipe is written a little later.
            ready = {fd for fd, _ in poller.poll(1 if self._unsent else remaining * 1000)}
            if ready:
                return descriptor in ready
        return True

    def has_output(self, seconds: float) -> bool:
        """Return whether the worker writes to stdout, or ends, within ``seconds``; drop the output."""
        self._pipes.wait(seconds)
        data, is_open = self._available()
        return bool(data) or not is_open or self._pipes.has_ended

    def interrupt(self) -> bool:
        """Kill the worker with all processes below it; return whether no response was on its way."""
        if not self._pipes.has_ended:
            # At once: the spawner, which kills the others too, hears of it a moment later.
            os.kill(self.process.pid, signal.SIGKILL)
        self._pipes.kill()
        return not self._available()[0]

    def receive(self, deadline: float) -> Response | Failure:
        """Return the next response to any request; wait until ``deadline`` (monotonic seconds)."""
        try:
            return self._deliver(deadline) or self._receive(deadline)
        except FrameError as error:
            return Failure(str(error.rule), error.detail)

    def find_surplus(self) -> Failure | None:
        """Return what the worker wrote to stdout although no response is due; None for nothing."""
        data, _ = self._available()
        return self._describe_stray(data) if data and not self._is_line_end(data) else None

    def rest(self, limit: float = _REST_LIMIT) -> None:
        """Wait until the worker and the processes below it are idle: its start-up is over.

        Args:
            limit: seconds after which that is taken to be so.
        """
        deadline = time.monotonic() + limit
        used, since = -1.0, time.monotonic()
        while time.monotonic() < deadline and self.process.poll() is None:
            now_used = _cpu_seconds(self.process.pid)
            if now_used != used:
                used, since = now_used, time.monotonic()
            if time.monotonic() - since >= _REST:
                return
            time.sleep(0.01)

    def finish(self, patience: float) -> Ending:
        """Close stdin, wait ``patience`` seconds for the end, and kill what is left."""
        self._pipes.close_stdin()
        output = self._await_end(time.monotonic() + patience)
        ended = self.process.poll()
        is_by_itself = ended is not None
        if not is_by_itself:
            self._pipes.kill()
        output += self._available()[0]
        leftovers = ended.leftovers_killed if ended is not None else 0
        if not output or self._is_line_end(output):
            # A worker that was killed may have been about to write the last newline.
            unterminated = max(0, self._connection.unterminated - (not is_by_itself))
            return Ending(is_by_itself=is_by_itself, leftovers=leftovers, unterminated=unterminated)
        failure = self._describe_stray(output)
        return Ending(
            is_by_itself=is_by_itself,
            leftovers=leftovers,
            surplus=failure.detail,
            rule=failure.rule,
        )

    def close(self) -> None:
        """Kill what still runs and release all resources."""
        if not self._pipes.has_ended:
            self._pipes.kill()
        self._pipes.close()

    def _describe_stray(self, data: bytes) -> Failure:
        """Return what unrequested bytes are: one response too many, or not a response at all."""
        try:
            responses = self._encoding.decoder(_MAX_FRAME).feed(data)
        except FrameError as error:
            return Failure(str(error.rule), error.detail)
        if responses:
            return Failure(
                str(ProtocolRule.UNEXPECTED_RESPONSE),
                f"a response with request_id {responses[0].request_id} that no request waits for",
            )
        fault = surplus(data)
        return Failure(str(fault.rule), fault.detail)

    def _is_line_end(self, data: bytes) -> bool:
        """Return whether bytes only end the line of a JSON response, and note that they came."""
        if self._encoding.name != "json" or data.strip():
            return False
        self._connection.receive(data)
        return True

    def _queue(self, data: bytes) -> None:
        self._unsent = memoryview(bytes(self._unsent) + data)

    def _deliver(self, deadline: float) -> Failure | None:
        """Write pieces one by one; return a failure if the response comes before its whole request."""
        while self._later:
            self.hand_over(deadline)
            if self._pipes.has_ended or time.monotonic() >= deadline:
                self._later.clear()
                return None
            piece = self._later.popleft()
            self.stay_idle(piece.pause)
            if piece.is_rest and (data := self._available()[0]):
                failure = self._describe_stray(data)
                return Failure(failure.rule, f"before the whole request was sent: {failure.detail}")
            self._queue(piece.data)
        return None

    def _receive(self, deadline: float) -> Response | Failure:
        while not self._inbox:
            self._unsent = self._pipes.write(self._unsent)
            remaining = deadline - time.monotonic()
            if not self._pipes.wait(remaining, to_write=bool(self._unsent)) and remaining <= 0:
                return self._timed_out()
            has_ended = self._pipes.has_ended
            data, is_open = self._available()
            self._last_byte = data[-1:] or self._last_byte
            self._inbox += self._connection.receive(data) if data else ()
            if not self._inbox and (has_ended or not is_open):
                return self._crashed()
        return self._inbox.popleft()

    def _available(self) -> tuple[bytes, bool]:
        """Return what is on stdout now, and whether more may follow."""
        pieces = []
        while data := self._pipes.read():
            pieces.append(data)
        return b"".join(pieces), data is None

    def _timed_out(self) -> Failure:
        try:
            self._connection.end()
        except FrameError as error:
            if error.rule is ProtocolRule.STDOUT_TEXT:
                return Failure(str(error.rule), error.detail)
            if self._encoding.name == "json" and self._last_byte == b"\n":
                detail = f"the line ends before its object does: {error.detail}"
                return Failure(str(ProtocolRule.MALFORMED), detail)
            return Failure(TIMEOUT, f"only part of a response arrived: {error.detail}")
        lines = ["no response within the timeout", self._reading()]
        lines.append(waiting.describe(self.process.pid, self._own_ends))
        return Failure(TIMEOUT, "\n".join(each for each in lines if each))

    def _reading(self) -> str:
        """Return how much of what was sent the worker has read; "" where that is not known."""
        if sys.platform != "linux":
            return ""
        unread = self._pipes.written - self._pipes.consumed + len(self._unsent)
        if not unread:
            return "the worker has read the whole request"
        size = self._pipes.written + len(self._unsent) - self._sent_before
        if unread >= size:
            return "the worker has read nothing of the request"
        return f"the worker has read {size - unread} of the {size} bytes of the request"

    def _crashed(self) -> Failure:
        self._connection.end()
        ended = self._pipes.wait_for_exit()
        how = ended.description if ended is not None else "it can't be killed"
        return Failure(CRASH, f"the process ended before its response was complete ({how})")

    def _await_end(self, deadline: float) -> bytes:
        """Return what is read until the process has ended, or until ``deadline``."""
        output = b""
        is_open = True
        while not self._pipes.has_ended and (remaining := deadline - time.monotonic()) > 0:
            if not is_open:
                self.process.wait(remaining)
                break
            self._pipes.wait(remaining)
            data, is_open = self._available()
            output += data
        return output


def _extended(frame: bytes, encoding: Encoding) -> bytes:
    if encoding.name is WorkerProtocol.JSON:
        return frame.rstrip()[:-1] + b',"rpwUnknownField":{"names":["x"]}}\n'
    start = next(index for index, byte in enumerate(frame) if byte < 0x80) + 1
    payload = frame[start:] + _UNKNOWN_FIELD
    return varint(len(payload)) + payload


def _cpu_seconds(pid: int) -> float:
    """Return the CPU seconds of a process and those below it; the current time while one is running."""
    processes = process_facts.family(pid)
    if not processes or any(process_facts.is_busy(each.pid) for each in processes):
        return time.monotonic()
    return sum(each.cpu_seconds for each in processes)
