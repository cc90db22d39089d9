"""Talking to one worker process under check: any mix of requests, and a close look at its end.

`workers.worker.Worker` serves actions and gives up at the first fault; this drives requests that
overlap, are cancelled or carry odd bytes, and tells what a worker says when nobody asked.
"""

from __future__ import annotations

import contextlib
import os
import select
import time
from collections import deque
from typing import NamedTuple

import psutil

from rpw_fixture.execution.processes import Exit, Process
from rpw_fixture.hermeticity.trials import Ending
from rpw_fixture.wire.varints import varint
from rpw_fixture.wire.worker_frames import Encoding, FrameError, Request, Response, surplus
from rpw_fixture.workers.connection import Connection
from rpw_fixture.workers.stderr import StderrTail
from rpw_fixture.workers.worker import Pipes

_READ = 1 << 18
_MAX_FRAME = 64 << 20
_PATIENCE = 3.0
_IN = select.POLLIN | select.POLLHUP | select.POLLERR
#: A worker whose processes used no CPU time for this long, seconds, has come to rest.
_REST, _REST_LIMIT = 0.08, 3.0
#: Field 1000, length-delimited, with one byte of content.
_UNKNOWN_FIELD = varint(1000 << 3 | 2) + b"\x01x"

CRASH, TIMEOUT = "crash", "timeout"


class Failure(NamedTuple):
    """Why a response did not come: the rule or event in the words of events, and the evidence."""

    rule: str
    detail: str


class Conversation:
    """A worker and what was said.

    Args:
        process: just started.
        pipes: to its standard streams, all non-blocking.
        encoding: of requests and responses.
    """

    def __init__(self, process: Process, pipes: Pipes, encoding: Encoding) -> None:
        self.process = process
        self.stderr = StderrTail(pipes.stderr)
        self._pipes = pipes
        self._encoding = encoding
        self._connection = Connection(encoding, _MAX_FRAME)
        self._is_stdin_open = True
        self._unsent = b""
        self._exit: Exit | None = None
        self._inbox: deque[Response] = deque()

    def send(self, request: Request, *, is_extended: bool = False) -> None:
        """Has a request written by the next `receive`; ``is_extended`` adds an unknown field."""
        data = self._connection.send(request)
        self._unsent += _extended(data, self._encoding) if is_extended else data

    def cancel(self, request_id: int) -> None:
        """Has a cancel request written by the next `receive`."""
        self._unsent += self._connection.cancel(request_id)

    def receive(self, deadline: float) -> Response | Failure:
        """Waits for the next response to whichever request, until ``deadline`` (monotonic)."""
        try:
            return self._receive(deadline)
        except FrameError as error:
            return Failure(str(error.rule), error.detail)

    def find_surplus(self) -> Failure | None:
        """What the worker said on stdout though nothing was asked."""
        data = self._available()
        if not data:
            return None
        error = surplus(data)
        return Failure(str(error.rule), error.detail)

    def rest(self) -> None:
        """Waits until the worker, and whatever it started, is idle: its start-up is over."""
        deadline = time.monotonic() + _REST_LIMIT
        used, since = -1.0, time.monotonic()
        while time.monotonic() < deadline and self.process.poll() is None:
            now_used = _cpu_seconds(self.process.pid)
            if now_used != used:
                used, since = now_used, time.monotonic()
            if time.monotonic() - since >= _REST and used > 0:
                return
            time.sleep(0.01)

    def finish(self, patience: float) -> Ending:
        """Closes stdin, waits for the end and kills what is left after ``patience`` seconds."""
        self._close_stdin()
        said = bytearray()
        ended = self._await_end(time.monotonic() + patience, said)
        is_by_itself = ended is not None
        if ended is None:
            self.process.kill_tree()
            ended = self.process.wait(_PATIENCE)
        said += self._available()
        self._exit = ended
        self.stderr.drain()
        leftovers = ended.leftovers_killed if ended is not None and is_by_itself else 0
        if not said:
            return Ending(is_by_itself=is_by_itself, leftovers=leftovers)
        error = surplus(bytes(said))
        return Ending(
            is_by_itself=is_by_itself,
            leftovers=leftovers,
            surplus=error.detail,
            rule=str(error.rule),
        )

    def close(self) -> None:
        """Kills what still runs and gives everything back."""
        if self._exit is None:
            self.process.kill_tree()
            self.process.wait(_PATIENCE)
        self.process.close()
        self._close_stdin()
        for fd in (self._pipes.stdout, self._pipes.stderr):
            with contextlib.suppress(OSError):
                os.close(fd)

    def _receive(self, deadline: float) -> Response | Failure:
        while not self._inbox:
            self._write()
            ready = self._wait(deadline)
            if not ready:
                return self._timed_out()
            if self._pipes.stderr in ready:
                self.stderr.drain()
            has_ended = self.process.status_fd in ready and self.process.poll() is not None
            if self._pipes.stdout in ready or has_ended:
                data = self._available()
                self._inbox += self._connection.receive(data) if data else ()
                if not self._inbox and (has_ended or not data):
                    return self._crashed()
        return self._inbox.popleft()

    def _wait(self, deadline: float) -> set[int]:
        poller = select.poll()
        for fd in (self._pipes.stdout, self.process.status_fd):
            poller.register(fd, _IN)
        if self.stderr.drain():
            poller.register(self._pipes.stderr, _IN)
        if self._unsent and self._is_stdin_open:
            poller.register(self._pipes.stdin, select.POLLOUT | select.POLLERR)
        remaining = deadline - time.monotonic()
        return {fd for fd, _ in poller.poll(max(0.0, remaining) * 1000)}

    def _write(self) -> None:
        while self._unsent and self._is_stdin_open:
            try:
                self._unsent = self._unsent[os.write(self._pipes.stdin, self._unsent) :]
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._unsent = b""

    def _available(self) -> bytes:
        pieces = []
        while True:
            try:
                data = os.read(self._pipes.stdout, _READ)
            except (BlockingIOError, OSError):
                break
            if not data:
                break
            pieces.append(data)
        return b"".join(pieces)

    def _timed_out(self) -> Failure:
        try:
            self._connection.end()
        except FrameError as error:
            if str(error.rule) == "text on stdout":
                return Failure(str(error.rule), error.detail)
            return Failure(TIMEOUT, f"only part of a response came: {error.detail}")
        return Failure(TIMEOUT, "no response within the timeout")

    def _crashed(self) -> Failure:
        self._connection.end()
        self._exit = self.process.wait(_PATIENCE)
        self.stderr.drain()
        how = self._exit.description if self._exit is not None else "it can't be killed"
        return Failure(CRASH, f"the process ended before its response was complete ({how})")

    def _await_end(self, deadline: float, said: bytearray) -> Exit | None:
        poller = select.poll()
        poller.register(self.process.status_fd, _IN)
        poller.register(self._pipes.stdout, _IN)
        while (ended := self.process.poll()) is None:
            remaining = deadline - time.monotonic()
            ready = {fd for fd, _ in poller.poll(max(0.0, remaining) * 1000)}
            if not ready:
                return None
            if self._pipes.stdout in ready:
                data = self._available()
                said += data
                if not data:
                    poller.unregister(self._pipes.stdout)
            self.stderr.drain()
        return ended

    def _close_stdin(self) -> None:
        if self._is_stdin_open:
            self._is_stdin_open = False
            os.close(self._pipes.stdin)


def _extended(frame: bytes, encoding: Encoding) -> bytes:
    if encoding.name == "json":
        return frame.rstrip()[:-1] + b',"rpwUnknownField":{"names":["x"]}}\n'
    start = next(index for index, byte in enumerate(frame) if byte < 0x80) + 1
    payload = frame[start:] + _UNKNOWN_FIELD
    return varint(len(payload)) + payload


def _cpu_seconds(pid: int) -> float:
    """CPU time of a process and those below it so far; -1 when it can't be told."""
    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
        times = [each.cpu_times() for each in family]
        states = [each.status() for each in family]
    except psutil.Error:
        return -1.0
    is_running = any(state in {psutil.STATUS_RUNNING, psutil.STATUS_DISK_SLEEP} for state in states)
    used = sum(each.user + each.system for each in times)
    return time.monotonic() if is_running else used
