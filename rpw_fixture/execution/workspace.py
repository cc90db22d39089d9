"""Where on this machine a server keeps the folders of its actions and workers."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError

#: A RAM disk: creating and deleting thousands of small files is many times faster there.
_RAM_DISK = "/dev/shm"  # noqa: S108 - a folder of our own is made in it, mode 0700
#: Less room than this, bytes, and the RAM disk is left alone (containers give it 64 MiB).
_ENOUGH_ROOM = 2 << 30
#: With the number of the process, so that folders whose process was killed can be told.
_PREFIX = "rpw_fixture-{}-"


def create() -> Path:
    """A new empty folder for one server, accessible to this user only.

    Raises:
        EnvironmentLacksError: when none can be made.
    """
    try:
        return Path(tempfile.mkdtemp(prefix=_PREFIX.format(os.getpid()), dir=base())).resolve()
    except OSError as error:
        raise EnvironmentLacksError(f"no folder for actions can be made: {error}") from None


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
