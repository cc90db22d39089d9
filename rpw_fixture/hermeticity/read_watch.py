"""Which of some files are opened, by inotify.

Linux only, through the C library: Python has no such module. A file that is only stat'ed, listed, or
opened for its path alone (O_PATH) does not count.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import posixpath
import struct
import sys
from collections.abc import Iterable

from rpw_fixture.closing import Closing

_IN_OPEN, _IN_ISDIR, _IN_Q_OVERFLOW = 0x20, 0x4000_0000, 0x4000
_EVENT = struct.Struct("iIII")
_READ = 1 << 16


class ReadWatch(Closing):
    """Watches files below a folder until it is closed.

    Args:
        root: the folder.
        paths: of files, relative to it.

    Raises:
        OSError: when there is no inotify, or its limits are used up.
    """

    def __init__(self, root: str, paths: Iterable[str]) -> None:
        if sys.platform != "linux":
            raise OSError("there is no inotify on this system")
        self._paths = frozenset(paths)
        self._folders: dict[int, str] = {}
        self._opened: set[str] = set()
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = _checked(libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify_init1")
        try:
            for folder in {posixpath.dirname(each) for each in self._paths}:
                raw = os.fsencode(os.path.join(root, folder))
                watch = libc.inotify_add_watch(self._fd, raw, _IN_OPEN)
                self._folders[_checked(watch, "inotify_add_watch")] = folder
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Ends watching."""
        os.close(self._fd)

    def opened(self) -> frozenset[str]:
        """Those of the files that were opened since the start; all when too much happened to tell."""
        with contextlib.suppress(BlockingIOError):
            while events := os.read(self._fd, _READ):
                self._take(events)
        return frozenset(self._opened)

    def _take(self, events: bytes) -> None:
        at = 0
        while at < len(events):
            watch, mask, _, length = _EVENT.unpack_from(events, at)
            at += _EVENT.size
            name = os.fsdecode(events[at : at + length].rstrip(b"\0"))
            at += length
            if mask & _IN_Q_OVERFLOW:
                self._opened |= self._paths
            elif not mask & _IN_ISDIR:
                self._opened |= {posixpath.join(self._folders.get(watch, ""), name)} & self._paths


def _checked(value: int, what: str) -> int:
    if value < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")
    return value
