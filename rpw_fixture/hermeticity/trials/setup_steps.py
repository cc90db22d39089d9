"""Steps in a worker's process before its program starts: another host name, fewer processors.

They run in the spawner, as `SetupStep`s by path, so this module uses the standard library only. Each
function takes one plain value and raises OSError if the system refuses.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import ctypes
import os

_CLONE_NEWUTS, _CLONE_NEWUSER = 0x04000000, 0x10000000


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(value: int, what: str) -> int:
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return value


def rename_host(name: str) -> None:
    """Give the process another host name than the machine."""
    libc = _libc()
    if libc.unshare(_CLONE_NEWUTS) != 0:
        _become_root_of_own_namespace(libc)
    raw = name.encode()
    _checked(libc.sethostname(raw, len(raw)), "sethostname")


def _become_root_of_own_namespace(libc: ctypes.CDLL) -> None:
    user, group = os.getuid(), os.getgid()
    _checked(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWUTS), "unshare")
    for file, text in (
        ("setgroups", "deny"),
        ("uid_map", f"{user} {user} 1"),
        ("gid_map", f"{group} {group} 1"),
    ):
        with open(f"/proc/self/{file}", "w") as target:
            target.write(text)


def use_processors(count: int) -> None:
    """Limit the process to ``count`` processors."""
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, usable[:count])
