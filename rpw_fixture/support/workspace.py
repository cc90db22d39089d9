"""Where on this machine a server keeps the folders of its actions and workers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.memory_limit import memory_limit
from rpw_fixture.support.removal import discard

#: A RAM disk: creating and deleting thousands of small files is many times faster there.
_RAM_DISK = "/dev/shm"  # noqa: S108 - a folder of our own is made in it, mode 0700
#: Less room than this, bytes, and the RAM disk is left alone (containers give it 64 MiB).
_ENOUGH_ROOM = 2 << 30
#: With a lower limit of memory, bytes, files belong on a disk.
_ENOUGH_MEMORY = 2 * _ENOUGH_ROOM
_PREFIX = "rpw_fixture-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Workspace(Closeable):
    """A new empty folder, accessible to this user only.

    It is locked until it is closed or this process is gone, however that ends; then the next workspace
    that somebody makes removes it, so that a RAM disk does not fill up. What can't be removed is
    reported by a warning in the log, with the command that removes it, and keeps nobody from starting.

    Attributes:
        path: of the folder.

    Raises:
        EnvironmentLacksError: when none can be made.
    """

    def __init__(self) -> None:
        where = base()
        with contextlib.suppress(OSError):
            _sweep(where)
        try:
            self.path, self._fd = _made(where)
        except OSError as error:
            raise EnvironmentLacksError(f"no folder for actions can be made: {error}") from None

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        discard(str(self.path))
        os.close(self._fd)


def _made(where: str) -> tuple[Path, int]:
    """Return a new folder, and the descriptor that has it locked."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=where)).resolve()
        # Who sweeps just now may have been quicker with the lock.
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, _FOLDER)
            if _lock(fd, otherwise=True) and path.exists():
                return path, fd
            os.close(fd)


def _sweep(where: str) -> None:
    """Remove folders of this user that nobody has locked."""
    with os.scandir(where) as entries:
        found = [each.path for each in entries if each.name.startswith(_PREFIX)]
    for path in found:
        try:
            fd = os.open(path, _FOLDER)
        except OSError:
            continue
        try:
            if os.fstat(fd).st_uid == os.getuid() and _lock(fd, otherwise=False):
                discard(path)
        finally:
            os.close(fd)


def _lock(fd: int, *, otherwise: bool) -> bool:
    """Lock a folder; False when somebody else has it locked.

    Args:
        otherwise: the answer of a file system that locks no folders, such as NFS.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return otherwise
    return True


def base() -> str:
    """Return the RAM disk if it is good for running programs from, else the usual temporary folder."""
    if "TMPDIR" in os.environ:
        return tempfile.gettempdir()  # whoever set it wants it used
    try:
        found = os.statvfs(_RAM_DISK)
    except OSError:
        return tempfile.gettempdir()
    # Files on it count as memory of the control group, whatever room the disk itself has.
    limit = memory_limit()
    is_allowed = limit is None or limit >= _ENOUGH_MEMORY
    has_room = is_allowed and found.f_bavail * found.f_frsize >= _ENOUGH_ROOM
    is_usable = has_room and not found.f_flag & os.ST_NOEXEC and os.access(_RAM_DISK, os.W_OK)
    return _RAM_DISK if is_usable else tempfile.gettempdir()
