"""Attempts at sockets and memory that processes share."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from typing import Any

from probing import Facts, call, checked, libc, permitted, probe


def greeting(family: int, address: Any) -> str:
    """Say what the one who listens there sends."""
    with socket.socket(family) as connection:
        connection.settimeout(20)
        connection.connect(address)
        return connection.recv(100).decode()


@probe
def connect_loopback(facts: Facts) -> object:
    return greeting(socket.AF_INET, ("127.0.0.1", facts["port"]))


@probe
def connect_server(facts: Facts) -> object:
    socket.create_connection(("127.0.0.1", facts["server_port"]), timeout=20).close()


@probe
def route_to_internet(_facts: Facts) -> object:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as unsent:
        unsent.connect(("198.51.100.1", 9))  # chooses a route; a datagram would follow with send()


@probe
def connect_unix_path(facts: Facts) -> object:
    return greeting(socket.AF_UNIX, facts["socket"])


@probe
def connect_unix_abstract(facts: Facts) -> object:
    return greeting(socket.AF_UNIX, "\0" + facts["abstract"])


@probe
def listen(_facts: Facts) -> object:
    with socket.create_server(("127.0.0.1", 0)):
        return os.readlink("/proc/self/ns/net")


@probe
def bind_low_port(_facts: Facts) -> object:
    for port in (1, 2, 3, 5, 6):  # one of them is not in use
        with permitted(errno.EADDRINUSE), socket.socket() as made:
            made.bind(("127.0.0.1", port))
            return ""
    raise OSError(errno.EADDRINUSE, "")


@probe
def raw_socket(_facts: Facts) -> object:
    socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP).close()


@probe
def shared_memory(facts: Facts) -> object:
    segment = checked(libc.shmget(facts["memory_key"], 0, 0))
    address = libc.shmat(segment, None, 0o10000)  # SHM_RDONLY
    if address in {None, ctypes.c_void_p(-1).value}:
        raise OSError(ctypes.get_errno(), "")
    return ctypes.string_at(address, len(facts["token"])).decode()


@probe
def user_keyring(facts: Facts) -> object:
    name = facts["token"].encode()
    key = call("keyctl", 10, -4, b"user", name, 0)  # KEYCTL_SEARCH in KEY_SPEC_USER_KEYRING
    buffer = ctypes.create_string_buffer(100)
    length = call("keyctl", 11, key, buffer, len(buffer))  # KEYCTL_READ
    return buffer.raw[:length].decode()
