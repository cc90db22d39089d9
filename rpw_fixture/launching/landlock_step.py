"""Landlock rules for a new process, set between fork and exec. Runs inside the spawner.

Standard library only, and run by path as a `SetupStep`; the server imports it for `version` alone.
Numbers are those of linux/landlock.h and linux/prctl.h.
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
#: The version since which each right exists: of changing something, and of reaching something else.
_CHANGING_SINCE = ((1, _WRITE_FILE | _CHANGE_FOLDERS), (2, _REFER), (3, _TRUNCATE))
_REACHING_SINCE = ((5, _IOCTL_DEVICE), (9, _RESOLVE_UNIX))
_SCOPES_SINCE = 6
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2

_libc = ctypes.CDLL(None, use_errno=True)  # once in the spawner, not in every process


def version() -> int:
    """Ask the kernel for its version of Landlock's interface, from 1.

    Raises:
        OSError: ENOSYS, the kernel has none; EOPNOTSUPP, it is switched off; or a filter's EPERM.
    """
    return _checked(_libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION), "Landlock")


def restrict(rules: tuple[Iterable[str], Iterable[str]]) -> None:
    """Refuse this process and its descendants, from now on, every path but those below some.

    Where the kernel can, also refused are signals and abstract sockets of processes outside (version 6)
    and Unix sockets by path (version 9). The network stays open: rules for it name ports, and an
    action's own servers on loopback have any.

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
    """Refuse reading, changing or both outside of some paths, and nothing else.

    Args:
        rules: paths to read below (None leaves reading alone), and paths to change things below, and
            to read too (None leaves changing alone).

    Raises:
        OSError: the kernel refused.
    """
    reads, writes = rules
    handled = _READ if reads is not None else 0
    if writes is not None:
        handled |= _known(version(), _CHANGING_SINCE)
    _enforce(handled, 0, ((reads or (), _READ & handled), (writes or (), handled)))


def _known(found: int, since: Iterable[tuple[int, int]]) -> int:
    """Return the rights that this version knows; one that it does not know makes it refuse all."""
    return sum(right for first, right in since if found >= first)


def _enforce(handled: int, scopes: int, rules: Iterable[tuple[Iterable[str], int]]) -> None:
    """Refuse what is ``handled`` except below the paths that have rules."""
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
        return  # what is not there needs no rule
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
