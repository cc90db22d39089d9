"""Landlock rules for a new process, set between fork and exec. Runs inside the spawner.

Standard library only, because it runs by path as a `SetupStep`; the server imports it only for
`version`. Numbers are from linux/landlock.h and linux/prctl.h.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import ctypes
import os
import stat

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_PATH_BENEATH = 1
_SET_NO_NEW_PRIVS = 38

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_CHANGE_FOLDERS = sum(1 << bit for bit in range(4, 13))  # make and remove, of every kind
_REFER, _TRUNCATE, _IOCTL_DEVICE, _RESOLVE_UNIX = 1 << 13, 1 << 14, 1 << 15, 1 << 16
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE | _RESOLVE_UNIX
#: The first version with each right: rights to change files, and rights to reach devices and sockets.
_CHANGING_SINCE = ((1, _WRITE_FILE | _CHANGE_FOLDERS), (2, _REFER), (3, _TRUNCATE))
_REACHING_SINCE = ((5, _IOCTL_DEVICE), (9, _RESOLVE_UNIX))
_SCOPES_SINCE = 6
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)  # once in the spawner, not in every process


def version() -> int:
    """Return the kernel's version of the Landlock interface, from 1.

    Raises:
        OSError: ENOSYS, the kernel has no Landlock; EOPNOTSUPP, it is switched off; EPERM, a filter
            forbids the system call.
    """
    return _checked(_libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION), "Landlock")


def restrict(rules: tuple[Iterable[str], Iterable[str]]) -> None:
    """Restrict this process and its descendants to some paths and what is below them.

    Where the kernel supports it, signals to and abstract sockets of processes outside (version 6) and
    Unix sockets by path (version 9) are refused too. The network stays open: its rules name ports, but
    servers that an action starts on loopback may use any port.

    Args:
        rules: paths to read and execute below, and paths to read, execute and change below.

    Raises:
        OSError: the kernel refused.
    """
    readable, writable = rules
    found = version()
    handled = _READ | _known(found, _CHANGING_SINCE) | _known(found, _REACHING_SINCE)
    scopes = _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS if found >= _SCOPES_SINCE else 0
    _enforce(handled, scopes, ((readable, _READ), (writable, handled)))


def restrict_paths(rules: tuple[Iterable[str] | None, Iterable[str] | None]) -> None:
    """Restrict reading, changing or both to some paths and what is below them.

    Args:
        rules: readable paths (None does not restrict reading), and paths that are both changeable
            and readable (None does not restrict changing).

    Raises:
        OSError: the kernel refused.
    """
    reads, writes = rules
    handled = _READ if reads is not None else 0
    if writes is not None:
        handled |= _known(version(), _CHANGING_SINCE)
    _enforce(handled, 0, ((reads or (), _READ & handled), (writes or (), handled)))


def _known(found: int, since: Iterable[tuple[int, int]]) -> int:
    """Return the rights that this version knows; the kernel rejects a ruleset with an unknown one."""
    return sum(right for first, right in since if found >= first)


def _enforce(handled: int, scopes: int, rules: Iterable[tuple[Iterable[str], int]]) -> None:
    """Refuse the rights in ``handled``, except those that ``rules`` allow below their paths."""
    attributes = [handled, 0, scopes] if scopes else [handled]  # files, network, scopes
    encoded = b"".join(each.to_bytes(8, "little") for each in attributes)
    created = _libc.syscall(_CREATE_RULESET, encoded, len(encoded), 0)
    ruleset = _checked(created, "landlock_create_ruleset")
    for paths, rights in rules:
        for path in paths:
            _allow(ruleset, path, rights)
    _checked(_libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _checked(_libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _allow(ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # a missing path needs no rule
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        rule = rights.to_bytes(8, "little") + fd.to_bytes(4, "little")
        _checked(_libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), "landlock_add_rule")
    finally:
        os.close(fd)


def _checked(value: int, what: str) -> int:
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return value
