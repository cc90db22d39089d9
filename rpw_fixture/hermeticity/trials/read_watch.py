"""Which of some files are opened, by inotify (Linux).

A file that is only stat'ed, listed, or opened for its path alone (O_PATH) does not count.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterable

from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.inotify import QUEUE_OVERFLOW, Inotify

_IN_OPEN, _IN_ISDIR = 0x20, 0x4000_0000


class ReadWatch(Closeable):
    """Watches files below a folder until it is closed.

    Args:
        root: the folder.
        paths: of files, relative to it.

    Raises:
        OSError: when there is no inotify, or its limits are used up.
    """

    def __init__(self, root: Beneath, paths: Iterable[str]) -> None:
        self._paths = frozenset(paths)
        self._folders: dict[int, str] = {}
        self._opened: set[str] = set()
        self._inotify = Inotify()
        try:
            for folder in {posixpath.dirname(each) for each in self._paths}:
                with root.below(folder).opened() as fd:
                    watch = self._inotify.add(b"/proc/self/fd/%d" % fd, _IN_OPEN)
                self._folders[watch] = folder
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Ends watching."""
        self._inotify.close()

    def opened(self) -> frozenset[str]:
        """Those of the files that were opened since the start; all when too much happened to tell."""
        for watch, mask, name in self._inotify.read():
            if mask & QUEUE_OVERFLOW:
                self._opened |= self._paths
            elif not mask & _IN_ISDIR:
                path = posixpath.join(self._folders.get(watch, ""), os.fsdecode(name))
                self._opened |= {path} & self._paths
        return frozenset(self._opened)
