"""The folders in which trials run on a machine of a cluster, the same few paths again and again.

At home, trials share a few folders, so that equal paths reach a worker in most of its runs. Here several
processes share them, which know nothing of each other: a folder belongs to the process that holds its
lock. It is removed when its trial ends; what a killed process leaves, the next workspace or the next
trial on the machine removes.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture.hermeticity.trials.trial import UnavailableError
from rpw_fixture.support.removal import discard
from rpw_fixture.support.workspace import base

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Number of the folder for trials that must all run at the same path.
_FIXED = 0
_MOST = 4096


@contextlib.contextmanager
def claimed(*, is_fixed: bool, where: str | None = None) -> Iterator[Path]:
    """Give the block an empty folder that no other trial uses meanwhile.

    Args:
        is_fixed: always the same path on this machine; wait until it is free.
        where: the folder that has all of them; by default, where a workspace would be.

    Raises:
        UnavailableError: no folder can be made or locked.
    """
    path, fd = _claim(where or base(), is_fixed=is_fixed)
    try:
        yield Path(path)
    finally:
        discard(path)
        os.close(fd)


def _claim(where: str, *, is_fixed: bool) -> tuple[str, int]:
    numbers = itertools.repeat(_FIXED, _MOST) if is_fixed else iter(range(1, _MOST))
    for number in numbers:
        path = os.path.join(os.path.realpath(where), f"rpw_fixture-{os.getuid()}-{number:02}")
        try:
            fd = _lock(path, is_patient=is_fixed)
        except OSError as error:
            raise UnavailableError(f"no folder for trials in {where}: {error}") from None
        if fd is not None:
            for name in os.listdir(path):
                discard(os.path.join(path, name))
            return path, fd
    raise UnavailableError(f"all folders for trials in {where} are in use")


def _lock(path: str, *, is_patient: bool) -> int | None:
    """Return the descriptor that locks a folder of this user; None if it is in use, or was removed."""
    with contextlib.suppress(FileExistsError):
        os.mkdir(path, 0o700)
    try:
        fd = os.open(path, _FOLDER)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR, errno.EACCES}:
            return None  # another user's
        raise
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | (0 if is_patient else fcntl.LOCK_NB))
        if _is_still_there(path, fd):
            return fd
    except BlockingIOError:
        pass
    except OSError:
        os.close(fd)
        raise
    os.close(fd)
    return None


def _is_still_there(path: str, fd: int) -> bool:
    """Return whether a locked folder is this user's and has not been removed meanwhile."""
    with contextlib.suppress(FileNotFoundError):
        found, here = os.fstat(fd), os.stat(path, follow_symlinks=False)
        is_same = (found.st_dev, found.st_ino) == (here.st_dev, here.st_ino)
        return is_same and found.st_uid == os.getuid() and not found.st_mode & 0o077
    return False
