"""What every attempt needs: the register of all, and calls that raise what C functions report."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
from collections.abc import Callable
from typing import Any

Facts = dict[str, Any]
PROBES: dict[str, Callable[[Facts], object]] = {}

libc = ctypes.CDLL(None, use_errno=True)
libc.shmat.restype = ctypes.c_void_p

_SWITCHES: dict[str, dict[str, int]] = {
    "x86_64": {
        "pivot_root": 155,
        "reboot": 169,
        "kexec_load": 246,
        "keyctl": 250,
        "perf_event_open": 298,
        "finit_module": 313,
        "bpf": 321,
        "userfaultfd": 323,
    },
    "aarch64": {
        "pivot_root": 41,
        "reboot": 142,
        "kexec_load": 104,
        "keyctl": 219,
        "perf_event_open": 241,
        "finit_module": 273,
        "bpf": 280,
        "userfaultfd": 282,
    },
}
_EVERYWHERE = {"io_uring_setup": 425, "io_uring_enter": 426, "pidfd_getfd": 438}


def probe(function: Callable[[Facts], object]) -> Callable[[Facts], object]:
    """Make an attempt known by its name."""
    PROBES[function.__name__] = function
    return function


def checked(value: int) -> int:
    """Raise what a C function reports."""
    if value < 0:
        raise OSError(ctypes.get_errno(), "")
    return value


def call(name: str, *arguments: Any) -> int:
    """Make a system call for which there is no function in libc."""
    number = {**_EVERYWHERE, **_SWITCHES.get(os.uname().machine, {})}.get(name)
    if number is None:
        raise OSError(errno.ENOSYS, name)
    return checked(libc.syscall(number, *arguments))


def permitted(*errors: int) -> Any:
    """Take these errors for success: they come after the check of the right."""

    @contextlib.contextmanager
    def ignoring() -> Any:
        try:
            yield
        except OSError as error:
            if error.errno not in errors:
                raise

    return ignoring()


def read(path: str) -> str:
    """Read the beginning of a file."""
    with open(path, "rb") as file:
        return file.read(1 << 16).decode(errors="replace")


def opened(path: str, flags: int) -> str:
    """Open and close."""
    os.close(os.open(path, flags))
    return ""


def output_of(command: list[str]) -> str:
    """Run a program."""
    reading, writing = os.pipe()
    process = os.posix_spawn(
        command[0], command, {}, file_actions=[(os.POSIX_SPAWN_DUP2, writing, 1)]
    )
    os.close(writing)
    os.waitpid(process, 0)
    return os.read(reading, 1000).decode()
