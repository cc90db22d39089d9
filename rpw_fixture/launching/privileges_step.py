"""The last step of an isolated process before its program: dropping all capabilities for good.

Standard library only, because it runs by path as a `SetupStep`, between fork and exec. Numbers are from
linux/capability.h and linux/prctl.h.

A root user keeps only user id 0: files of root stay usable by their modes, all other privileges of root
are dropped. The user id is not changed, because the exec root and toolchains below ``/root`` belong to
the server's user. There is no seccomp filter: the system calls that it could refuse fail without a
capability anyway, and it can't see paths, which matter more.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import ctypes
import errno
import os

_READ_FROM_BOUNDING_SET, _DROP_FROM_BOUNDING_SET = 23, 24
_SET_NO_NEW_PRIVS = 38
_AMBIENT, _CLEAR_ALL_AMBIENT = 47, 4
_CAPABILITY_VERSION = 0x20080522

_libc = ctypes.CDLL(None, use_errno=True)


def _known_capabilities() -> int:
    """Return the number of capabilities that this kernel knows."""
    number = 0
    while _libc.prctl(_READ_FROM_BOUNDING_SET, number, 0, 0, 0) >= 0:
        number += 1
    return number


_KNOWN = _known_capabilities()  # once in the spawner, not in every process


def drop_privileges(_argument: None) -> None:
    """Drop every capability from every set, and set "no new privileges".

    After that, no set-user-ID program, file capability or exec as root restores any of them.

    Raises:
        OSError: the kernel refused.
    """
    _empty_bounding_set()
    _checked(_libc.prctl(_AMBIENT, _CLEAR_ALL_AMBIENT, 0, 0, 0), "prctl(PR_CAP_AMBIENT)")
    header = _CAPABILITY_VERSION.to_bytes(4, "little") + bytes(4)
    _checked(_libc.capset(header, bytes(24)), "capset")
    _checked(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")


def _empty_bounding_set() -> None:
    """Empty the bounding set, if permitted; otherwise "no new privileges" alone is enough."""
    for capability in range(_KNOWN):
        if _libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0) < 0:
            if ctypes.get_errno() == errno.EPERM:
                return
            _checked(-1, "prctl(PR_CAPBSET_DROP)")


def _checked(value: int, what: str) -> None:
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
