"""The server's connection to one running spawner program: its socket, its status pipes, its death.

`spawner` uses it; other modules use `spawner`. This module knows how messages travel, not what they
mean; `spawner_messages` documents the messages.
"""

from __future__ import annotations

import contextlib
import errno
import marshal
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpw_fixture.errors import RpwError
from rpw_fixture.processes import process_tree
from rpw_fixture.processes.spawner_watch import SpawnerWatch
from rpw_fixture.support import cpu_affinity

_PROGRAM = str(Path(__file__).with_name("spawner_program.py"))
_CLOSE_TIMEOUT = 15.0  # seconds; the spawner itself gives up after 10
_DEATH_PATIENCE = 0.5  # seconds from the end of a status pipe to that of the spawner's socket
_WAKE_INTERVAL = 0.5  # seconds after which supervisors that do not end are continued
_RECORD_LIMIT = 1 << 16


class StartError(RpwError):
    """A process that could not be started.

    Args:
        code: the errno, as in the module `errno`.
        message: names the program and the problem.
        stage: the stage that failed: ``executable``, ``working directory``, ``limits``, ``umask``,
            ``setup step NAME``, ``descriptors`` or ``spawner``.
    """

    def __init__(self, code: int, message: str, *, stage: str) -> None:
        super().__init__(message)
        self.errno = code
        self.message = message
        self.stage = stage


class SurvivorsError(RpwError):
    """Processes that could not be killed: stuck in the kernel, or running as another user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A running process: the tag that names it in requests, its id and its status pipe."""

    tag: int
    pid: int
    reader: StatusReader


class Link:
    """One running spawner program and the socket to it.

    Args:
        scratch: a folder that the program removes if this process dies before it closes the link.
    """

    def __init__(self, scratch: str = "") -> None:
        self._lock = threading.Lock()
        self._mark = process_tree.new_mark()
        self._starts = 0
        try:
            self._socket, self._lifeline, self._program = _start_program(self._mark, scratch)
        except OSError as error:
            message = f"cannot start the spawner with {sys.executable}: {error.strerror}"
            raise StartError(error.errno or 0, message, stage="spawner") from error
        self.pid = self._program.pid
        self._watch = SpawnerWatch(self.pid, self.shut_down)
        try:
            self._watch.start()
        except RuntimeError as error:  # a limit on threads
            self.shut_down()
            message = f"cannot start the thread that watches the spawner: {error}"
            raise StartError(errno.EAGAIN, message, stage="spawner") from None

    def spawn(self, request: tuple[Any, ...], standard: Sequence[int]) -> Started | None:
        """Start a process; return None if the spawner or a supervisor died before it answered.

        Args:
            request: the parts of a "spawn" message after the tag.
            standard: the descriptors for 0, 1 and 2.

        Raises:
            StartError: nothing was started.
        """
        reader, writing = _status_pipe(request[0])
        try:
            tag = self._request_start(request, (writing, *standard))
            record = reader.read_first() if tag is not None else None
        except EOFError:
            record = None
        except BaseException:
            reader.close()  # makes the spawner kill what it may have started
            raise
        if tag is not None and record and record[0] == "started":
            return Started(tag=tag, pid=record[1], reader=reader)
        reader.close()
        if record and record[0] == "failed":
            raise _start_error(request, *record[1:])
        return None

    def _request_start(self, request: tuple[Any, ...], descriptors: Sequence[int]) -> int | None:
        try:
            with self._lock:
                self._starts += 1
                tag = self._starts
                sent = self._transmit(("spawn", tag, *request), descriptors)
        except OSError as error:
            message = f"cannot hand {os.fsdecode(request[0])} to the spawner: {error.strerror}"
            raise StartError(error.errno or 0, message, stage="descriptors") from error
        finally:
            os.close(descriptors[0])
        return tag if sent else None

    def is_dead(self) -> bool:
        """Return whether the program is gone, after one of its status pipes ended."""
        descriptor = self._socket.fileno()
        return descriptor < 0 or _is_readable(descriptor, _DEATH_PATIENCE)

    def send(self, message: tuple[Any, ...]) -> None:
        """Send a request without descriptors; it is lost if the spawner is dead, as then nothing runs."""
        with self._lock:
            self._transmit(message, ())

    def _transmit(self, message: tuple[Any, ...], descriptors: Sequence[int]) -> bool:
        if self._socket.fileno() < 0:
            return False
        body = marshal.dumps(message)
        data = memoryview(len(body).to_bytes(4, "little") + body)
        try:
            sent = socket.send_fds(self._socket, [data], descriptors)
            self._socket.sendall(data[sent:])
        except (BrokenPipeError, ConnectionResetError):
            return False
        return True

    def close(self) -> None:
        """Make the spawner kill everything and exit.

        Raises:
            SurvivorsError: it could not kill everything.
        """
        with self._lock, contextlib.suppress(OSError):  # it may be dead already
            self._socket.shutdown(socket.SHUT_WR)
        _wait_readable(self._socket.fileno(), time.monotonic() + _CLOSE_TIMEOUT)
        if not self.shut_down():
            raise SurvivorsError(
                "processes could not be killed within 10 s; look for processes of another user "
                "or in uninterruptible sleep (ps -eo pid,user,stat,args)"
            )

    def shut_down(self) -> bool:
        """Make sure that the program and all it started are gone; return False if something is left."""
        self._watch.stop()
        with self._lock:
            is_gone = self._socket.fileno() < 0 or self._end_program()
        self._watch.join()  # not before: it may be waiting for the lock, to do the same
        return is_gone

    def _end_program(self) -> bool:
        last_byte = _last_byte(self._socket)
        self._socket.close()
        if not last_byte:
            self._program.kill()
        self._program.wait()
        # Its supervisors kill what they started; if they were killed too, the mark finds it.
        is_over = bool(last_byte) or self._await_supervisors()
        os.close(self._lifeline)
        if last_byte == b".":
            return True
        # After a failed attempt of a supervisor or the spawner, another long attempt can't succeed.
        is_first_try = is_over and not last_byte
        return not process_tree.purge(self._mark, timeout=_CLOSE_TIMEOUT if is_first_try else 1.0)

    def _await_supervisors(self) -> bool:
        """Wait until all supervisors are gone; return False if some are left after the timeout."""
        deadline = time.monotonic() + _CLOSE_TIMEOUT
        while not _is_readable(self._lifeline, _WAKE_INTERVAL):
            if time.monotonic() > deadline:
                return False
            process_tree.wake(self._mark)
        return True


@dataclass(slots=True)
class StatusReader:
    """The read end of a status pipe."""

    descriptor: int
    _buffer: bytearray = field(default_factory=bytearray)

    def read(self) -> tuple[Any, ...] | None:
        """Return the next record, None if it has not arrived; raise EOFError if none will arrive."""
        if (record := self._next_record()) is not None:
            return record
        try:
            data = os.read(self.descriptor, _RECORD_LIMIT)
        except BlockingIOError:
            return None
        if not data:
            raise EOFError
        self._buffer += data
        return self._next_record()

    def read_first(self) -> tuple[Any, ...]:
        """Wait for the first record."""
        while (record := self.read()) is None:
            self.wait(None)
        return record

    def wait(self, deadline: float | None) -> bool:
        """Wait for data or the end; False if closed, or once ``deadline`` (monotonic) is over."""
        return _wait_readable(self.descriptor, deadline)

    def close(self) -> None:
        """Close the descriptor, once."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def _next_record(self) -> tuple[Any, ...] | None:
        size = int.from_bytes(self._buffer[:4], "little")
        if len(self._buffer) < 4 + size:
            return None
        record: tuple[Any, ...] = marshal.loads(self._buffer[4 : 4 + size])  # noqa: S302 - spawner's
        del self._buffer[: 4 + size]
        return record


def _start_program(mark: int, scratch: str) -> tuple[socket.socket, int, subprocess.Popen[bytes]]:
    """Start the program; return the server's socket, the read end of the lifeline, and the program."""
    with contextlib.ExitStack() as undo, contextlib.ExitStack() as theirs:
        ours, control = socket.socketpair()
        undo.callback(ours.close)
        theirs.callback(control.close)
        reading, lifeline = os.pipe()
        undo.callback(os.close, reading)
        theirs.callback(os.close, lifeline)
        descriptors = control.fileno(), lifeline
        # New session: Ctrl-C at the terminal is for the server, which then ends the spawner in order.
        with cpu_affinity.anywhere():
            program = subprocess.Popen(
                [sys.executable, "-I", "-S", _PROGRAM, *map(str, descriptors), str(mark), scratch],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=descriptors,
                start_new_session=True,
            )
        undo.pop_all()
        return ours, reading, program


def _last_byte(control: socket.socket) -> bytes:
    try:
        return control.recv(1, socket.MSG_DONTWAIT)
    except OSError:  # nothing sent: it does not respond, or it died over unread requests
        return b""


def _status_pipe(executable: bytes) -> tuple[StatusReader, int]:
    try:
        reading, writing = os.pipe()
    except OSError as error:
        message = f"cannot start {os.fsdecode(executable)}: {error.strerror}"
        raise StartError(error.errno or 0, message, stage="descriptors") from error
    os.set_blocking(reading, False)
    return StatusReader(reading), writing


def _wait_readable(descriptor: int, deadline: float | None) -> bool:
    remaining = None if deadline is None else (deadline - time.monotonic()) * 1000
    if descriptor < 0 or (remaining is not None and remaining <= 0):
        return False
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    poller.poll(remaining)
    return True


def _is_readable(descriptor: int, seconds: float) -> bool:
    """Return whether there is data, or the end, within some seconds."""
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(seconds * 1000))


def _start_error(request: tuple[Any, ...], code: int, text: str, stage: str) -> StartError:
    executable, cwd = os.fsdecode(request[0]), os.fsdecode(request[3])
    if stage == "working directory":
        text = f"working directory {cwd}: {text}"
    elif stage != "executable":
        text = f"{stage}: {text}"
    elif code == errno.ENOENT and os.path.lexists(executable):
        text += " (the file exists, but its interpreter does not: see its #! line or ELF loader)"
    return StartError(code, f"cannot start {executable}: {text}", stage=stage)
