"""The folder in which a server keeps the folders of its actions and workers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.memory_limit import memory_limit

#: A RAM disk: creating and deleting thousands of small files is many times faster there.
_RAM_DISK = "/dev/shm"  # noqa: S108 - a private folder is made in it, mode 0700
#: The RAM disk is used only if it has this much room, bytes (containers give it 64 MiB).
_ENOUGH_ROOM = 2 << 30
#: The RAM disk is used only if the memory limit is at least this, bytes.
_ENOUGH_MEMORY = 2 * _ENOUGH_ROOM
#: Where else a workspace may be: of a process with another TMPDIR, or in a sandbox without RAM disk.
_OTHER_BASES = (_RAM_DISK, "/tmp", "/var/tmp")  # noqa: S108 - only folders of this user are touched
_PREFIX = "rpw_fixture-"
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Workspace(Closeable):
    """A new empty folder, accessible to this user only.

    It is locked until it is closed or this process ends in any way; then the next workspace on this
    machine removes it, so that a RAM disk does not fill up. A warning in the log reports what can't be
    removed, with the command that removes it; the server starts anyway.

    Attributes:
        path: path of the folder.

    Raises:
        EnvironmentLacksError: when the folder can't be made.
    """

    def __init__(self) -> None:
        where = base()
        for each in {where, tempfile.gettempdir(), *_OTHER_BASES}:
            with contextlib.suppress(OSError):
                _sweep(each)
        try:
            self.path, self._fd = _made(where)
        except OSError as error:
            raise EnvironmentLacksError(f"no folder for actions can be made: {error}") from None

    def close(self) -> None:
        """Remove the folder with everything in it."""
        _discard(str(self.path))
        os.close(self._fd)


def _made(where: str) -> tuple[Path, int]:
    """Make a new folder; return its path, and the descriptor that locks it."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-", dir=where)).resolve()
        # Another server that cleans up now may have locked it first.
        with contextlib.suppress(FileNotFoundError):
            fd = os.open(path, _FOLDER)
            if _lock(fd, if_unsupported=True) and path.exists():
                return path, fd
            os.close(fd)


def _sweep(where: str) -> None:
    """Remove folders of this user that are not locked."""
    with os.scandir(where) as entries:
        found = [each.path for each in entries if each.name.startswith(_PREFIX)]
    for path in found:
        try:
            fd = os.open(path, _FOLDER)
        except OSError:
            continue
        try:
            if os.fstat(fd).st_uid == os.getuid() and _lock(fd, if_unsupported=False):
                _discard(path)
        finally:
            os.close(fd)


def _discard(path: str) -> None:
    # Not at the top: a server that starts where no other was killed has nothing to remove yet.
    from rpw_fixture.support.removal import discard  # noqa: PLC0415

    discard(path)


def _lock(fd: int, *, if_unsupported: bool) -> bool:
    """Lock a folder; return False when another process has locked it.

    Args:
        if_unsupported: the result on a file system that can't lock folders, such as NFS.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return if_unsupported
    return True


def base() -> str:
    """Return the RAM disk if programs can run from it, else the usual temporary folder."""
    if "TMPDIR" in os.environ:
        return tempfile.gettempdir()  # the user has chosen it
    try:
        found = os.statvfs(_RAM_DISK)
    except OSError:
        return tempfile.gettempdir()
    # Files on it count as memory of the control group, however much room the RAM disk has.
    limit = memory_limit()
    is_allowed = limit is None or limit >= _ENOUGH_MEMORY
    has_room = is_allowed and found.f_bavail * found.f_frsize >= _ENOUGH_ROOM
    is_usable = has_room and not found.f_flag & os.ST_NOEXEC and os.access(_RAM_DISK, os.W_OK)
    return _RAM_DISK if is_usable else tempfile.gettempdir()
