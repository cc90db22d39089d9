"""Landlock rules for a new process, set between fork and exec. Runs inside the spawner.

Standard library only, and run by path as a `SetupStep`; the server imports it for `version` alone.
Numbers are those of linux/landlock.h, linux/prctl.h and linux/capability.h.
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
_SET_NO_NEW_PRIVS, _DROP_FROM_BOUNDING_SET = 38, 24
_DAC_OVERRIDE, _DAC_READ_SEARCH = 1, 2

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_CHANGE_FOLDERS = sum(1 << bit for bit in range(4, 13))  # make and remove, of every kind
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL_DEVICE
_SCOPE_ABSTRACT_SOCKETS, _SCOPE_SIGNALS = 1, 2


def version() -> int:
    """Which version of Landlock's interface the kernel has, from 1.

    Raises:
        OSError: ENOSYS, the kernel has none; EOPNOTSUPP, it is switched off; or a filter's EPERM.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    return _checked(libc.syscall(_CREATE_RULESET, None, 0, _ASK_VERSION), "Landlock")


def restrict(rules: tuple[Iterable[str], Iterable[str]]) -> None:
    """Refuses this process and its descendants, from now on, every path but those below some.

    Signals to processes outside are refused too where the kernel can (version 6). A root user loses the
    right to overrule file modes, so that read-only inputs are read-only.

    Args:
        rules: paths to read and execute below, and paths to read, execute and change below.

    Raises:
        OSError: the kernel refused.
    """
    readable, writable = rules
    libc = ctypes.CDLL(None, use_errno=True)
    found = version()
    handled = _handled(found)
    attributes = [handled, 0, _SCOPE_ABSTRACT_SOCKETS | _SCOPE_SIGNALS]  # files, network, scopes
    size = 24 if found >= 6 else 8
    encoded = b"".join(each.to_bytes(8, "little") for each in attributes)[:size]
    ruleset = _checked(libc.syscall(_CREATE_RULESET, encoded, size, 0), "landlock_create_ruleset")
    for path in readable:
        _allow(libc, ruleset, path, _READ)
    for path in writable:
        _allow(libc, ruleset, path, handled)
    _respect_modes(libc)
    _checked(libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "prctl(PR_SET_NO_NEW_PRIVS)")
    _checked(libc.syscall(_RESTRICT_SELF, ruleset, 0), "landlock_restrict_self")
    os.close(ruleset)


def _handled(found: int) -> int:
    """All rights that this version knows; one that is not named would stay open to everybody."""
    rights = _READ | _WRITE_FILE | _CHANGE_FOLDERS
    for since, right in ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE)):
        if found >= since:
            rights |= right
    return rights


def _allow(libc: ctypes.CDLL, ruleset: int, path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return  # what is not there needs no rule
    try:
        if not stat.S_ISDIR(os.fstat(fd).st_mode):
            rights &= _OF_FILES
        rule = rights.to_bytes(8, "little") + fd.to_bytes(4, "little")
        _checked(libc.syscall(_ADD_RULE, ruleset, _PATH_BENEATH, rule, 0), "landlock_add_rule")
    finally:
        os.close(fd)


def _respect_modes(libc: ctypes.CDLL) -> None:
    if os.geteuid() == 0:
        for capability in (_DAC_OVERRIDE, _DAC_READ_SEARCH):
            dropped = libc.prctl(_DROP_FROM_BOUNDING_SET, capability, 0, 0, 0)
            _checked(dropped, "prctl(PR_CAPBSET_DROP)")


def _checked(value: int, what: str) -> int:
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return value
