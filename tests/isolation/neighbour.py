"""A process beside the server, of the same user, that others may try to reach.

``neighbour.py FOLDER TOKEN`` prints one line of JSON: where its sockets, its shared memory and its
terminal are. Each process that connects gets TOKEN. It ends, and takes everything along, when its standard
input does. Standard library only.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pty
import secrets
import selectors
import socket
import sys

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p
_ADD_KEY = {"x86_64": 248, "aarch64": 217}
_KEYCTL = {"x86_64": 250, "aarch64": 219}
_USER_KEYRING = -4
_KEY_SECONDS = 600  # should this process be killed


def share_memory(token: bytes) -> tuple[int, int]:
    """Make a System V segment that holds the token; return its key and id."""
    key = secrets.randbits(30) | 1
    segment = libc.shmget(key, 4096, 0o1600)
    if segment >= 0:
        ctypes.memmove(libc.shmat(segment, None, 0), token, len(token))
    return key, segment


def add_key(token: bytes) -> int:
    """Put a key that is named and holds the token into the user's keyring; -1 where that fails."""
    machine = os.uname().machine
    if machine not in _ADD_KEY:
        return -1
    key = libc.syscall(_ADD_KEY[machine], b"user", token, token, len(token), _USER_KEYRING)
    libc.syscall(_KEYCTL[machine], 15, key, _KEY_SECONDS)  # KEYCTL_SET_TIMEOUT
    return int(key)


def listeners(folder: str, token: str) -> list[socket.socket]:
    """Listen on loopback, at a path, and at an abstract address."""
    unix = [socket.socket(socket.AF_UNIX) for _ in range(2)]
    for each, address in zip(unix, (f"{folder}/neighbour.sock", f"\0rpw-{token}"), strict=True):
        each.bind(address)
        each.listen()
    return [socket.create_server(("127.0.0.1", 0)), *unix]


def serve(sockets: list[socket.socket], token: bytes) -> None:
    """Send the token to everybody, until standard input ends."""
    with selectors.DefaultSelector() as selector:
        for each in (*sockets, sys.stdin):
            selector.register(each, selectors.EVENT_READ)
        while True:
            for key, _ in selector.select():
                if key.fileobj is sys.stdin:
                    return
                with contextlib.suppress(OSError), key.fileobj.accept()[0] as caller:  # type: ignore[union-attr]
                    caller.sendall(token)


def main(folder: str, token: str) -> None:
    sockets = listeners(folder, token)
    memory_key, segment = share_memory(token.encode())
    key = add_key(token.encode())
    _terminal, terminal = pty.openpty()
    facts = {
        "neighbour": os.getpid(),
        "port": sockets[0].getsockname()[1],
        "socket": f"{folder}/neighbour.sock",
        "abstract": f"rpw-{token}",
        "memory_key": memory_key,
        "terminal": os.ttyname(terminal),
    }
    print(json.dumps(facts), flush=True)
    try:
        serve(sockets, token.encode())
    finally:
        libc.shmctl(segment, 0, None)  # IPC_RMID
        libc.syscall(_KEYCTL.get(os.uname().machine, -1), 9, key, _USER_KEYRING)  # KEYCTL_UNLINK


if __name__ == "__main__":
    main(*sys.argv[1:])
