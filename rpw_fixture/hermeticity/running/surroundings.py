"""What is done in a worker's process before its program starts. Runs inside the spawner.

Standard library only, run by path as `SetupStep`s, never imported there: landlock rules, another host
name, fewer processors. Each function takes one plain value and raises OSError where the system says no.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import ctypes
import os

_LANDLOCK_CREATE, _LANDLOCK_ADD, _LANDLOCK_RESTRICT = 444, 445, 446
_PR_SET_NO_NEW_PRIVS = 38
_RULE_PATH_BENEATH = 1
_VERSION_FLAG = 1
_CLONE_NEWUTS, _CLONE_NEWUSER = 0x04000000, 0x10000000

# linux/landlock.h: rights to read, and rights that change something.
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_READING = _EXECUTE | _READ_FILE | _READ_DIR
_CHANGING = _WRITE_FILE | sum(1 << bit for bit in range(4, 13))
_REFER, _TRUNCATE = 1 << 13, 1 << 14
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(value: int, what: str) -> int:
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return value


def landlock_version() -> int:
    """Which version of Landlock the kernel offers, 0 for none."""
    found = _libc().syscall(_LANDLOCK_CREATE, None, 0, _VERSION_FLAG)
    return max(0, int(found))


def restrict(rules: tuple[tuple[str, ...] | None, tuple[str, ...] | None]) -> None:
    """Takes away access to everything but some paths, for this process and its descendants.

    Args:
        rules: paths to read below (None leaves reading alone), and paths to change things below, and
            to read too (None leaves changing alone).
    """
    reads, writes = rules
    handled = (_READING if reads is not None else 0) | (_changing() if writes is not None else 0)
    attributes = handled.to_bytes(8, "little")
    libc = _libc()
    ruleset = _checked(
        libc.syscall(_LANDLOCK_CREATE, attributes, len(attributes), 0), "landlock_create_ruleset"
    )
    for path in reads or ():
        _allow(libc, ruleset, path, _READING & handled)
    for path in writes or ():
        _allow(libc, ruleset, path, handled)
    _checked(libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _checked(libc.syscall(_LANDLOCK_RESTRICT, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _changing() -> int:
    version = landlock_version()
    return _CHANGING | (_REFER if version >= 2 else 0) | (_TRUNCATE if version >= 3 else 0)


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there can't be read either
    try:
        is_folder = os.path.isdir(f"/proc/self/fd/{fd}")
        allowed = rights if is_folder else rights & _OF_FILES
        rule = allowed.to_bytes(8, "little") + fd.to_bytes(4, "little")
        _checked(
            libc.syscall(_LANDLOCK_ADD, ruleset, _RULE_PATH_BENEATH, rule, 0), "landlock_add_rule"
        )
    finally:
        os.close(fd)


def rename_host(name: str) -> None:
    """Gives the process a host name of its own."""
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
    """Lets the process use only so many processors."""
    usable = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, usable[:count])
