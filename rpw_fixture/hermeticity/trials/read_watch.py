"""Watching which files are opened or read, by inotify (Linux).

A file counts only if its content is opened, not if it is stat'ed, listed, or opened with O_PATH.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable

from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.inotify import QUEUE_OVERFLOW, Inotify

_IN_ACCESS, _IN_OPEN, _IN_ISDIR = 0x1, 0x20, 0x4000_0000


class ReadWatch(Closeable):
    """A watch on files below a folder, until it is closed.

    Args:
        root: the folder.
        paths: paths of the files, relative to it.
        with_reads: reading an open file counts as well as opening it.

    Raises:
        OSError: the system has no inotify, or its limits are reached.
    """

    def __init__(self, root: Beneath, paths: Iterable[str], *, with_reads: bool = False) -> None:
        mask = _IN_OPEN | _IN_ACCESS * with_reads
        self._paths = frozenset(paths)
        self._folders: dict[int, str] = {}
        self._opened: set[str] = set()
        self._inotify = Inotify()
        try:
            for folder in {posixpath.dirname(each) for each in self._paths}:
                with root.below(folder).opened() as fd:
                    watch = self._inotify.add(b"/proc/self/fd/%d" % fd, mask)
                self._folders[watch] = folder
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()

    def forget(self) -> None:
        """Forget what was opened until now."""
        self._inotify.read()
        self._opened.clear()

    def opened(self) -> frozenset[str]:
        """Return the files that were opened since the start; all of them if events were lost."""
        for watch, mask, name in self._inotify.read():
            if mask & QUEUE_OVERFLOW:
                self._opened |= self._paths
            elif not mask & _IN_ISDIR:
                path = posixpath.join(self._folders.get(watch, ""), os.fsdecode(name))
                self._opened |= {path} & self._paths
        return frozenset(self._opened)
