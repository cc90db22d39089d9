"""The conversation with an observer in a worker: one JSON line each way, while the worker waits.

The check listens; the observer connects when the worker's process starts. A wrapper in the same language
connects as well, so the newest connection of the process that reads the worker's stdin counts.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rpw_fixture.support.closing import Closeable

#: Seconds until a starting observer connects; it does so before the worker's own code runs.
_CONNECTS_WITHIN = 3.0
#: Seconds for an answer; observers limit themselves to 2 seconds of processor time, and 8 in all.
_ANSWERS_WITHIN = 20.0
_MOST_BYTES = 16 << 20
#: The longest path of a Unix socket on any system.
_LONGEST_PATH = 100
_BACKLOG = 16


class ObserverLostError(Exception):
    """An observer does not answer, or answers nonsense; the message says which."""


@dataclass(slots=True)
class _Observer:
    """A connected observer."""

    connection: socket.socket
    runtime: str
    pid: int


class ObserverLink(Closeable):
    """The socket that observers connect to.

    Args:
        path: path of the Unix socket, in a folder that is there.
        is_tcp: listen on a TCP port of the loopback interface instead.

    Attributes:
        address: what the variable ``RPW_OBSERVER`` says to the observer.
        runtime: the runtime of the worker's observer, once it has connected; else "".
    """

    def __init__(self, path: str, *, is_tcp: bool = False) -> None:
        if is_tcp or len(os.fsencode(path)) > _LONGEST_PATH:
            self._listener = socket.create_server(("127.0.0.1", 0), backlog=_BACKLOG)
            self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen(_BACKLOG)
            self.address = path
        self._observers: list[_Observer] = []
        self._buffer = b""
        self.runtime = ""

    def close(self) -> None:
        """Close the socket and all connections."""
        for each in self._observers:
            each.connection.close()
        self._listener.close()

    def connect(self, stdin: str) -> bool:
        """Accept what has connected; return whether the observer of a worker is among it.

        Args:
            stdin: name of the pipe that the worker reads; "" if that is not known.
        """
        deadline = time.monotonic() + _CONNECTS_WITHIN
        while not self._observers or self._is_pending(0):
            if not self._is_pending(max(0.0, deadline - time.monotonic())):
                break
            self._accept()
        chosen = [each for each in self._observers if has_open(each.pid, stdin)]
        if chosen:
            self._observers.remove(chosen[-1])
            self._observers.append(chosen[-1])
            self.runtime = chosen[-1].runtime
        return bool(chosen)

    def ask(self, message: Mapping[str, object]) -> dict[str, Any]:
        """Send a message to the worker's observer and return its answer.

        Raises:
            ObserverLostError: it does not answer in time, or with something else.
        """
        connection = self._observers[-1].connection
        try:
            connection.settimeout(_ANSWERS_WITHIN)
            connection.sendall(json.dumps(message).encode() + b"\n")
            answer = json.loads(self._line(connection))
        except OSError as error:
            raise ObserverLostError(f"the observer does not answer: {error}") from None
        except ValueError as error:
            raise ObserverLostError(f"the observer's answer can't be read: {error}") from None
        if not isinstance(answer, dict):
            raise ObserverLostError("the observer's answer is no JSON object")
        if "error" in answer:
            raise ObserverLostError(f"the observer failed: {answer['error']}")
        return answer

    def _is_pending(self, seconds: float) -> bool:
        return bool(select.select([self._listener], [], [], seconds)[0])

    def _accept(self) -> None:
        connection, _ = self._listener.accept()
        with contextlib.ExitStack() as undo:
            undo.callback(connection.close)
            with contextlib.suppress(OSError, ValueError, KeyError, TypeError, ObserverLostError):
                connection.settimeout(_CONNECTS_WITHIN)
                hello = json.loads(self._line(connection))
                runtime, pid = str(hello["runtime"]), int(hello["pid"])
                self._observers.append(_Observer(connection, runtime, pid))
                undo.pop_all()

    def _line(self, connection: socket.socket) -> bytes:
        deadline = time.monotonic() + _ANSWERS_WITHIN
        pieces: list[bytes] = []
        size = 0
        while not (pieces and pieces[-1].endswith(b"\n")):
            piece = connection.recv(1 << 16)
            size += len(piece)
            if not piece:
                raise ConnectionError("it has closed its connection")
            if size > _MOST_BYTES or time.monotonic() > deadline:
                raise ObserverLostError("the observer's answer is too long")
            pieces.append(piece)
        return b"".join(pieces)


def has_open(pid: int, name: str) -> bool:
    """Return whether a process has a pipe open; True if the name is not known.

    Many workers move their stdin to another descriptor, so that no library reads it.
    """
    if not name:
        return True
    folder = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for each in os.listdir(folder):
            with contextlib.suppress(OSError):
                if os.readlink(f"{folder}/{each}") == name:
                    return True
    return False
