"""The messages between the server, the spawner and its supervisors: their framing and their sockets.

A request is a 4-byte length and a marshalled tuple, one of
    ("spawn", tag, executable, argv, environment, cwd, setup, teardown)
    ("kill", tag)
    ("signal", tag, signal number)
    ("close", 0)
    ("guard", pid or None)
The tag is a number that the server chooses; it names the process. The spawner sends "close" to its
supervisors, before it closes the socket, when they must end in order. "guard" names a child of the server
that the spawner kills when the server is dead (`guarded_process`), None that there is no such child now.
"spawn" carries four descriptors: the write end of the status pipe, then stdin, stdout and stderr.
``setup`` is None, or (umask or None, limits, steps) with limits = [(resource, soft, hard)] and steps =
[(path of a Python file, name of a function in it, its argument)]. ``teardown`` is None, or a command line
that removes what the process has outside of its tree (a container): it runs when the leader has ended or
been killed, before the rest of the tree is killed, and even when the server is dead.

At most two records go to the status pipe, framed like requests:
    ("started", pid)   or   ("failed", errno, text, stage)
    ("exited", return code, user seconds, system seconds, peak RSS bytes, leftovers, survivors)
The second is written when the whole tree is gone. In place of either,
    ("lost", survivors)
says that the spawner or the process's supervisor was killed, so that its end is unknown; its tree is gone
too.

Standard library only, because it runs in the spawner. `spawner_link` is the server's counterpart.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import contextlib
import marshal
import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_INT = 4  # sizeof(int) wherever Python runs
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


def receive(control: socket.socket) -> tuple[bytes, list[int]] | None:
    """Read one marshalled request and its descriptors; return None once the other end is closed."""
    try:
        # Not recv_fds: it drops the flag that keeps them from child processes (cpython#128881).
        head, ancillary, _, _ = control.recvmsg(4, socket.CMSG_LEN(4 * _INT), _CLOEXEC)
        size = int.from_bytes(head, "little")
        body = control.recv(size, socket.MSG_WAITALL) if size else b""
    except ConnectionResetError:
        return None
    if not body or len(body) < size:
        return None
    return body, [fd for _, _, data in ancillary for fd in _descriptors(data)]


def _descriptors(data: bytes) -> list[int]:
    whole = range(0, len(data) - len(data) % _INT, _INT)  # what did not fit may be cut anywhere
    descriptors = [int.from_bytes(data[at : at + _INT], sys.byteorder) for at in whole]
    if not _CLOEXEC:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
    return descriptors


def forward(link: socket.socket, body: bytes, descriptors: list[int]) -> bool:
    """Forward a request; return False if the other end is closed, or does not read in time."""
    data = memoryview(len(body).to_bytes(4, "little") + body)
    try:
        sent = socket.send_fds(link, [data], descriptors)
        if sent < len(data):
            link.sendall(data[sent:])
    except OSError:  # a timeout is one too
        return False
    return True


def write_record(status: int, record: tuple[Any, ...]) -> None:
    """Write to a status pipe; do nothing if its reader is gone."""
    body = marshal.dumps(record)
    with contextlib.suppress(BrokenPipeError):  # the event loop notices it too
        os.write(status, len(body).to_bytes(4, "little") + body)
