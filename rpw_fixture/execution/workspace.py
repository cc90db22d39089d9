"""Where on this machine a server keeps the folders of its actions and workers."""

from __future__ import annotations

import os
import re
import tempfile
import time
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.execution.removal import remove

#: A RAM disk: creating and deleting thousands of small files is many times faster there.
_RAM_DISK = "/dev/shm"  # noqa: S108 - a folder of our own is made in it, mode 0700
#: Less room than this, bytes, and the RAM disk is left alone (containers give it 64 MiB).
_ENOUGH_ROOM = 2 << 30
#: With the number of the process, so that folders whose process was killed can be told.
_PREFIX = "rpw_fixture-{}-"
_OWNER = re.compile(r"rpw_fixture-(\d+)-")
#: How old the folder of a killed server must be before another server removes it, seconds.
_FRESH = 3600.0


def create() -> Path:
    """A new empty folder for one server, accessible to this user only.

    Raises:
        EnvironmentLacksError: when none can be made.
    """
    where = base()
    try:
        _sweep(where)
        return Path(tempfile.mkdtemp(prefix=_PREFIX.format(os.getpid()), dir=where)).resolve()
    except OSError as error:
        raise EnvironmentLacksError(f"no folder for actions can be made: {error}") from None


def _sweep(where: str) -> None:
    """Removes folders of servers that were killed, so that a RAM disk does not fill up.

    A process of another container that shares the disk looks dead from here, so folders are left
    alone for an hour.
    """
    if not Path("/proc/self").exists():
        return  # there is no telling who lives
    with os.scandir(where) as entries:
        found = [(each.path, _OWNER.match(each.name)) for each in entries]
    for path, owner in found:
        if owner is not None and not Path(f"/proc/{owner[1]}").exists() and _is_ours(path):
            remove(path)


def _is_ours(path: str) -> bool:
    """Whether the folder is this user's and was not made just now."""
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return found.st_uid == os.getuid() and time.time() - found.st_mtime > _FRESH


def base() -> str:
    """The RAM disk if it is good for running programs from, else the usual temporary folder."""
    if "TMPDIR" in os.environ:
        return tempfile.gettempdir()  # whoever set it wants it used
    try:
        found = os.statvfs(_RAM_DISK)
    except OSError:
        return tempfile.gettempdir()
    has_room = found.f_bavail * found.f_frsize >= _ENOUGH_ROOM
    is_usable = has_room and not found.f_flag & os.ST_NOEXEC and os.access(_RAM_DISK, os.W_OK)
    return _RAM_DISK if is_usable else tempfile.gettempdir()
