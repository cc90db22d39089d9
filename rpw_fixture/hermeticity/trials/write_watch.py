"""Watching for the first change of a file below some folders, by inotify (Linux)."""

from __future__ import annotations

import os
from collections.abc import Iterable

from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.inotify import Inotify

_IN_MODIFY, _IN_MOVED, _IN_CREATE, _IN_DELETE = 0x2, 0xC0, 0x100, 0x200
_CHANGES = _IN_MODIFY | _IN_MOVED | _IN_CREATE | _IN_DELETE


class WriteWatch(Closeable):
    """A watch on everything that is below some folders when it begins, until it is closed.

    Args:
        folders: the folders; those that do not exist are left out.

    Raises:
        OSError: the system has no inotify, or its limits are reached.
    """

    def __init__(self, folders: Iterable[str]) -> None:
        self._inotify = Inotify()
        try:
            for top in folders:
                for folder, _, _ in os.walk(top):
                    self._inotify.add(os.fsencode(folder), _CHANGES)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()

    def has_changed(self) -> bool:
        """Return whether a file was changed, created, moved or deleted since the last call."""
        return bool(self._inotify.read())
