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
        folders: absolute paths of the folders; those that do not exist are left out.
        ignored: absolute paths; changes of them, of what is in them and of their parents do not count.

    Raises:
        OSError: the system has no inotify, or its limits are reached.
    """

    def __init__(self, folders: Iterable[str], ignored: Iterable[str]) -> None:
        self._ignored = tuple(ignored)
        self._folders: dict[int, str] = {}
        self._inotify = Inotify()
        try:
            for top in folders:
                for folder, _, _ in os.walk(top):
                    self._folders[self._inotify.add(os.fsencode(folder), _CHANGES)] = folder
        except OSError:
            self.close()
            raise

    @property
    def descriptor(self) -> int:
        """The descriptor that is readable when something may have changed."""
        return self._inotify.descriptor

    def close(self) -> None:
        """Stop watching."""
        self._inotify.close()

    def has_changed(self) -> bool:
        """Return whether a file was changed, created, moved or deleted since the last call."""
        paths = [
            os.path.join(self._folders.get(watch, ""), os.fsdecode(name))
            for watch, _, name in self._inotify.read()
        ]
        return not all(map(self._is_ignored, paths))

    def _is_ignored(self, path: str) -> bool:
        return any(
            f"{path}/".startswith(f"{each}/") or each.startswith(f"{path}/")
            for each in self._ignored
        )
