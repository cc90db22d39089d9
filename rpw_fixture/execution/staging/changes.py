"""Reports which folders changed since the last question, by inotify.

A worker with thousands of inputs changes few files per request. To compare them all takes microseconds
for each file, and a report takes nothing. Where inotify is missing, or has lost events, the answer is
"unknown", and the caller compares everything.
"""

from __future__ import annotations

import contextlib
import os
import threading

from rpw_fixture.support.inotify import IGNORED, QUEUE_OVERFLOW, Inotify
from rpw_fixture.support.mounts import MountWatch

_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x2, 0x4, 0x8
_MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _ONLYDIR, _DONT_FOLLOW = 0x400, 0x800, 0x1000000, 0x2000000
# Writes through a memory map are reported only when the file is closed, hence _CLOSE_WRITE.
_MASK = (
    _MODIFY | _ATTRIB | _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE
    | _DELETE_SELF | _MOVE_SELF | _ONLYDIR
)  # fmt: skip
#: For a single file: changes by any of its names, hard links in other folders included.
_FILE_MASK = _MODIFY | _ATTRIB | _CLOSE_WRITE
_SPECIAL = QUEUE_OVERFLOW | IGNORED
#: The file with the number of watches that a user may have, and the number to assume without it.
_LIMIT = "/proc/sys/fs/inotify/max_user_watches"
_USUAL_LIMIT = 8192


class ChangeSet:
    """The changes in the folders of one root.

    Attributes:
        is_blind: whether some folder could not be watched.
        has_missed: whether the kernel has lost events.
    """

    def __init__(self) -> None:
        self.is_blind = False
        self.has_missed = False
        self._changed: dict[int, set[bytes]] = {}
        self._gone: set[int] = set()

    @property
    def is_unknown(self) -> bool:
        """Whether changes may have been missed, so that everything must be compared."""
        return self.is_blind or self.has_missed

    def note(self, watch: int, name: bytes) -> None:
        """Add a name that changed in a folder; the empty name stands for the folder itself."""
        names = self._changed.get(watch)
        if names is None:
            self._changed[watch] = {name}
        else:
            names.add(name)

    def lose(self, watch: int) -> None:
        """Note that the watch of a folder has ended, because the folder was removed."""
        self._gone.add(watch)

    def take_gone(self) -> set[int]:
        """Return the watches of folders that are gone, and forget them."""
        gone, self._gone = self._gone, set()
        return gone

    def take(self) -> dict[int, set[bytes]]:
        """Return the changed names of each folder, by its watch, and forget them."""
        changed, self._changed = self._changed, {}
        return changed


class FolderWatcher:
    """Watches folders for many roots over one inotify instance, of which users have few.

    All methods may be called from any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sets: dict[int, ChangeSet] = {}
        self._inotify: Inotify | None = None
        self._is_open = False
        self._most_files = 0
        self._mounts: MountWatch | None = None

    def mount_changes(self) -> int:
        """Return a number that grows when mounts of this machine have changed."""
        with self._lock:
            return self._mounts.look() if self._mounts is not None else 0

    def watch(self, folder: int, changes: ChangeSet) -> int:
        """Note changes in an open folder in ``changes`` from now on.

        Returns:
            The number of the folder's watch; -1 when there are too many watches, and then
            ``changes.is_blind`` is set.
        """
        path = f"/proc/self/fd/{folder}".encode()
        with self._lock:
            if not self._is_open:
                self._open()
            try:
                number = self._inotify.add(path, _MASK) if self._inotify is not None else -1
            except OSError:
                number = -1
            if number >= 0:
                self._sets[number] = changes
            else:
                changes.is_blind = True
        return number

    def watch_file(self, folder: int, name: str, changes: ChangeSet) -> int:
        """Note changes of a file in ``changes`` from now on, by whichever of its names they are made.

        Returns:
            The number of the file's watch; -1 when there are too many watches.
        """
        path = b"/proc/self/fd/%d/%s" % (folder, os.fsencode(name))
        with self._lock:
            if self._inotify is None or len(self._sets) >= self._most_files:
                return -1
            try:
                number = self._inotify.add(path, _FILE_MASK | _DONT_FOLLOW)
            except OSError:
                return -1
            self._sets[number] = changes
        return number

    def read(self) -> None:
        """Note all changes up to now in their sets."""
        with self._lock:
            if self._inotify is not None:
                known = self._sets.get
                for watch, mask, name in self._inotify.read():
                    changes = known(watch)
                    if changes is None or mask & _SPECIAL:
                        self._note_special(watch, mask)
                    else:
                        changes.note(watch, name)

    def close(self) -> None:
        """Stop watching."""
        with self._lock:
            if self._inotify is not None:
                self._inotify.close()
            self._inotify = None
            if self._mounts is not None:
                self._mounts.close()
            self._mounts = None

    def _open(self) -> None:
        """Open inotify when the first folder is watched, because servers without workers don't need it."""
        self._is_open = True
        self._mounts = MountWatch()
        with contextlib.suppress(OSError):  # without it, all changes are unknown
            self._inotify = Inotify()
            self._most_files = _limit() // 2

    def _note_special(self, watch: int, mask: int) -> None:
        """Handle a record that is not about a name in a watched folder."""
        if mask & QUEUE_OVERFLOW:
            for changes in self._sets.values():
                changes.has_missed = True
        elif mask & IGNORED:
            gone = self._sets.pop(watch, None)
            if gone is not None:
                gone.lose(watch)


def _limit() -> int:
    """Return how many watches a user may have."""
    try:
        with open(_LIMIT, encoding="ascii") as file:
            return int(file.read())
    except (OSError, ValueError):
        return _USUAL_LIMIT
