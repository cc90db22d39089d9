"""Watches of one input root, by which the server compares only what changed."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from rpw_fixture.execution.staging.changes import ChangeSet, FolderWatcher
from rpw_fixture.execution.staging.placed import Placed
from rpw_fixture.execution.staging.sweeping import Suspect
from rpw_fixture.support.beneath import opened
from rpw_fixture.support.mounts import is_mounted_below

#: A file that has stayed for this many actions is watched, instead of being looked at before each.
_GROWN = 4
#: If it can't be watched, the next try is after this many more actions.
_RETRY = 100
_ITSELF: AbstractSet[bytes] = frozenset({b""})


class RootWatches:
    """Finds out which folders and files of a root changed since `settle`.

    The watch of a folder reports changes of its files by their names in it. Changes by a hard link in
    another folder are reported only by a watch of the file itself. Such a watch costs the kernel far more
    than a look at the file's state, which would be wasted on inputs that differ from action to action. So
    a new ("young") file is looked at before each action, and watched once it has stayed for some actions.
    """

    def __init__(self, watcher: FolderWatcher, path: str) -> None:
        self._watcher = watcher
        self._path = path
        self._mount_changes = 0
        self._changes = ChangeSet()
        self._folders: dict[int, Placed] = {}
        self._files: dict[int, tuple[Placed, str]] = {}
        self._young: dict[tuple[Placed, str], int] = {}

    def add(self, fd: int, placed: Placed) -> None:
        """Watch the folder open as ``fd`` from now on; it may be watched already."""
        if self._changes.is_blind:
            return
        placed.watch = self._watcher.watch(fd, self._changes)
        placed.inode = os.fstat(fd).st_ino
        self._folders[placed.watch] = placed

    def add_file(self, placed: Placed, name: str) -> None:
        """Look at a new file before each action, because it may get hard links in other folders."""
        if not self._changes.is_blind:  # otherwise all files are compared anyway
            self._young[placed, name] = 0

    def suspects(self, fd: int, root: Placed) -> list[Suspect] | None:
        """Return the folders that changed, parents before their children; None when that is unknown.

        Args:
            fd: descriptor of the root.
            root: what was placed in it.
        """
        self._watcher.read()
        self._forget_gone()
        changed = self._changes.take()
        if self._changes.is_unknown or root.watch < 0 or self._is_mounted_on():
            return None
        suspects: dict[Placed, Suspect] = {}
        for young in self._changed_young(fd):
            _suspect_written(suspects, *young)
        for watch, names in changed.items():
            placed = self._folders.get(watch)
            if placed is not None:
                if placed not in suspects:
                    suspects[placed] = Suspect(placed, names)
            elif watch in self._files:
                _suspect_written(suspects, *self._files[watch])
        found = list(suspects.values())
        if len(found) > 1:
            found.sort(key=lambda each: len(each.placed.path or ()))
        return found

    def _changed_young(self, fd: int) -> list[tuple[Placed, str]]:
        """Return the files without a watch whose inode changed since they were placed."""
        return [
            (placed, name)
            for placed, name, path in self._present_young()
            if _changed_at(fd, [*path, name]) != placed.stamps.get(name)
        ]

    def _is_mounted_on(self) -> bool:
        """Return whether something was mounted in the root, which inotify does not report."""
        changes = self._watcher.mount_changes()
        if changes == self._mount_changes:
            return False
        self._mount_changes = changes
        return is_mounted_below(self._path)

    def distrust(self) -> None:
        """Compare everything before the next action."""
        self._changes.has_missed = True

    def settle(self, fd: int) -> None:
        """Forget the changes up to now, which the server made itself.

        Changes of files that are watched by themselves are kept: the server changes no file after it
        has placed it.

        Args:
            fd: descriptor of the root.
        """
        self._watcher.read()
        # If a placed folder is gone, a process has removed it just now.
        is_missed = self._forget_gone()
        self._watch_grown(fd)
        for watch in self._changes.take():
            if watch in self._files:
                self._changes.note(watch, b"")
        self._changes.has_missed = is_missed

    def _watch_grown(self, fd: int) -> None:
        """Watch the files that have stayed for `_GROWN` actions."""
        for placed, name, path in self._present_young():
            age = self._young[placed, name]
            if age < _GROWN:
                self._young[placed, name] = age + 1
            elif self._watch_file(fd, placed, path, name):
                del self._young[placed, name]
            else:
                self._young[placed, name] = -_RETRY

    def _present_young(self) -> Iterator[tuple[Placed, str, list[str]]]:
        """Yield the files without a watch and the paths of their folders; forget those that are gone."""
        for placed, name in list(self._young):
            path = placed.path
            if path is None or name not in placed.files:
                del self._young[placed, name]
            else:
                yield placed, name, path

    def _watch_file(self, fd: int, placed: Placed, path: list[str], name: str) -> bool:
        """Watch a file; return whether that was possible."""
        try:
            with opened("/".join(path), fd) if path else contextlib.nullcontext(fd) as folder:
                watch = self._watcher.watch_file(folder, name, self._changes)
                if watch < 0:
                    return False
                self._files[watch] = (placed, name)
                if _changed_at(folder, [name]) != placed.stamps.get(name):
                    self._changes.note(watch, b"")  # it was changed before the watch began
        except OSError:
            return False  # the folder was removed, which its watch reports
        return True

    def _forget_gone(self) -> bool:
        """Forget watches that have ended; return whether one was of a folder that should be there."""
        is_missed = False
        for watch in self._changes.take_gone():
            self._files.pop(watch, None)
            placed = self._folders.pop(watch, None)
            if placed is not None and placed.watch == watch:
                placed.watch = -1
                is_missed |= placed.path is not None
        return is_missed


def _suspect_written(suspects: dict[Placed, Suspect], placed: Placed, name: str) -> None:
    """Add that a file's content may have changed, by whatever name that was done."""
    known = suspects.get(placed)
    written = {name} if known is None else known.written | {name}
    suspects[placed] = Suspect(placed, _ITSELF, written)


def _changed_at(fd: int, path: list[str]) -> int:
    """Return when a file's inode changed, nanoseconds since the epoch; -1 if it is gone."""
    try:
        return os.stat("/".join(path), dir_fd=fd, follow_symlinks=False).st_ctime_ns
    except OSError:
        return -1
