"""Unmounting what an action left mounted, without harm to the mounted files (Linux).

Only mounts beneath the server's folders are removed, by descriptor. Shared mounts are made private first:
otherwise the kernel would unmount the originals together with their copies.
"""

from __future__ import annotations

import os
import select
import sys
from typing import Any

from rpw_fixture.support.beneath import mount_of
from rpw_fixture.support.closing import Closeable

_MS_REC, _MS_PRIVATE, _MNT_DETACH = 0x4000, 0x40000, 0x2
_INFO = "/proc/self/mountinfo"
#: Characters that the list of mounts has as octal numbers.
_ESCAPED = str.maketrans({each: f"\\{ord(each):03o}" for each in " \t\n\\"})
#: The most mounts on top of each other that are removed from one path.
_MOST = 1000


class MountWatch(Closeable):
    """A watch for mounts and unmounts anywhere, which inotify does not report."""

    def __init__(self) -> None:
        self._changes = 0
        self._poller = select.poll()
        try:
            self._fd = os.open(_INFO, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:  # not Linux
            self._fd = -1
        else:
            self._poller.register(self._fd, select.POLLPRI)

    def close(self) -> None:
        """End the watch."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            self._poller.unregister(fd)
            os.close(fd)

    def look(self) -> int:
        """Return how many calls so far, this one included, noticed a change."""
        if self._poller.poll(0):
            self._changes += 1
        return self._changes


def is_mounted_below(path: str) -> bool:
    """Return whether something is mounted on a folder or below it."""
    point = path.translate(_ESCAPED)
    try:
        with open(_INFO, encoding="utf-8", errors="surrogateescape") as lines:
            return any(f"{line.split(' ', 5)[4]}/".startswith(f"{point}/") for line in lines)
    except OSError:
        return False


def unmount(parent: int, name: str) -> bool:
    """Unmount everything that is mounted on ``name`` in the folder open as ``parent``.

    Returns:
        Whether it was a mount point and is not one now.
    """
    if sys.platform != "linux":
        return False
    try:
        import ctypes  # noqa: PLC0415 - costs milliseconds, and is rarely needed
    except ImportError:  # a Python that was built without libffi
        return False
    libc = ctypes.CDLL(None, use_errno=True)
    for count in range(_MOST):
        if not _is_mount(parent, name):
            return bool(count)
        if not _unmount_one(libc, parent, name):
            return False
    return False


def _is_mount(parent: int, name: str) -> bool:
    """Return whether something is mounted on ``name``."""
    try:
        fd = _open(parent, name)
    except OSError:
        return False
    try:
        return mount_of(fd) != mount_of(parent)
    finally:
        os.close(fd)


def _unmount_one(libc: Any, parent: int, name: str) -> bool:
    fd = _open(parent, name)
    try:
        if mount_of(fd) == mount_of(parent):
            return True  # another process has unmounted it
        path = f"/proc/self/fd/{fd}".encode()
        if libc.mount(None, path, None, _MS_REC | _MS_PRIVATE, None):
            return False
        return not libc.umount2(path, _MNT_DETACH)
    finally:
        os.close(fd)


def _open(parent: int, name: str) -> int:
    """Open ``name``, a mount point, only to refer to it in system calls."""
    return os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
