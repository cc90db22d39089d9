"""An input root on disk that serves one action after another; only differences are written.

A `StagedRoot` remembers what it placed. Before each action it compares the disk with that memory,
removes what a worker or an earlier action left or changed, and then applies the Merkle difference:
folders of equal digest are not entered. Every step uses folder descriptors and follows no symlink, so
that nothing that an action puts in place of a folder leads out of the root.
"""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet

from rpw_fixture.errors import invalid_argument
from rpw_fixture.execution.staging.changes import ChangeSet, FolderWatcher
from rpw_fixture.execution.staging.placed import Parents, Placed, mode_of, mtime_of
from rpw_fixture.execution.staging.sweeping import Suspect, Sweep
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.beneath import Beneath, opened
from rpw_fixture.support.mounts import is_mounted_below
from rpw_fixture.support.removal import Leftover, remove_at, report
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.trees import FileEntry, Folder


class StagedRoot:
    """A folder that holds the inputs of one action after another.

    Args:
        place: an existing empty folder, ours alone.
        watcher: reports which folders changed, so that only these are compared; without one all are.

    Attributes:
        place: that folder.
        has_leftovers: something in it could not be removed the last time.
    """

    def __init__(self, place: Beneath, watcher: FolderWatcher | None = None) -> None:
        self.place = place
        self.has_leftovers = False
        self._placed = Placed()
        self._watches = _Watches(watcher, place.path) if watcher is not None else None

    @property
    def path(self) -> str:
        """Absolute path of the folder, for processes and messages."""
        return self.place.path

    def stage(self, root: Folder, parents: Parents, store: BlobStore) -> list[str]:
        """Make the folder hold exactly ``root`` and ``parents``.

        Returns:
            Paths of inputs that were found changed, replaced or gone since they were placed.

        Raises:
            RequestError: INVALID_ARGUMENT when a parent of an output is an input file.
            BlobMissingError: when a file's blob was evicted meanwhile.
            OSError: such as a full disk, or when the folder itself was removed.
        """
        for _ in range(_RETRIES):
            try:
                return self._stage(root, parents, store)
            except OSError as error:
                if not self._can_retry(error):
                    raise
        return self._stage(root, parents, store)

    def _can_retry(self, error: OSError) -> bool:
        """Return whether another try that compares everything can succeed.

        It can if something is mounted in the root, or a process has just created something there.
        """
        if self._watches is not None:
            self._watches.distrust()  # inotify does not report mounts
        is_mount = error.errno == errno.EXDEV and self._watches is not None
        return is_mount or error.errno == errno.EEXIST

    def _stage(self, root: Folder, parents: Parents, store: BlobStore) -> list[str]:
        sweep = Sweep(store, self._watches.add if self._watches is not None else None)
        with self.place.opened() as fd:
            self._clean(fd, sweep)
            placing = _Placing(store, is_shared=False, watches=self._watches)
            placing.apply(fd, self._placed, root, parents)
            leftovers = sweep.leftovers + placing.leftovers
            if self._watches is not None:
                self._watches.settle(fd)
        self._report(leftovers)
        return sweep.changed

    def add(self, root: Folder, parents: Parents, outputs: Iterable[str], store: BlobStore) -> None:
        """Make the folder hold ``root`` and ``parents`` as well, while other actions work in it.

        Only what is in the way of inputs or ``outputs`` of the new action is removed. The caller
        makes sure that the trees of all these actions fit together.

        Raises:
            RequestError, BlobMissingError, OSError: as `stage`.
        """
        placing = _Placing(store, is_shared=True, watches=self._watches)
        with self.place.opened() as fd:
            for path in outputs:
                if root.find(path) is None:
                    placing.remove_output(fd, self._placed, path)
            placing.apply(fd, self._placed, root, parents)
        self._report(placing.leftovers)

    def _report(self, leftovers: list[Leftover]) -> None:
        self.has_leftovers = any(each.is_left for each in leftovers)
        if leftovers:
            report(leftovers, self.path)

    def _clean(self, fd: int, sweep: Sweep) -> None:
        suspects = self._watches.suspects(fd, self._placed) if self._watches is not None else None
        try:
            if suspects is None:
                sweep.clean(fd, self._placed, "")
            else:
                for each in suspects:
                    sweep.clean_only(fd, each)
        except BaseException:
            if self._watches is not None:
                self._watches.distrust()  # some suspects were not compared
            raise


class _Watches:
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


class _Placing:
    """Applies the difference between what was placed and what is wanted.

    Args:
        store: holds the files.
        is_shared: whether other actions work in the folder, whose files must stay.
        watches: gets every folder that is not watched yet, and every new file.

    Attributes:
        leftovers: what can't be removed, and what was unmounted.
    """

    def __init__(self, store: BlobStore, *, is_shared: bool, watches: _Watches | None) -> None:
        self._store = store
        self._is_shared = is_shared
        self._watches = watches
        self.leftovers: list[Leftover] = []

    def apply(self, fd: int, placed: Placed, wanted: Folder, parents: Parents) -> None:
        """Bring the folder open as ``fd`` to ``wanted`` and ``parents``."""
        if placed.digest == wanted.digest and placed.parents == parents:
            return
        placed.digest = None
        if self._watches is not None and placed.watch < 0:
            self._watches.add(fd, placed)
        folders = _folders(wanted, parents)
        self._take_away(fd, placed, wanted, folders)
        self._place_leaves(fd, placed, wanted)
        for name in folders:
            if name not in placed.folders:
                self._make_folder(fd, name)
                placed.folders[name] = Placed(above=placed, name=name)
            child, below = wanted.folders.get(name, _NOTHING), parents.get(name, _NO_PARENTS)
            known = placed.folders[name]
            if known.digest != child.digest or known.parents != below:
                with opened(name, fd) as child_fd:
                    self.apply(child_fd, known, child, below)
        if not self._is_shared:
            placed.digest, placed.parents = wanted.digest, parents

    def remove_output(self, fd: int, placed: Placed, path: str) -> None:
        """Delete what is at ``path``, if it exists, without following symlinks."""
        name, _, rest = path.partition("/")
        placed.digest = None
        if not rest:
            placed.forget(name)
            self.leftovers += remove_at(fd, name)
            return
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), opened(name, fd) as child:
            self.remove_output(child, placed.folders.get(name) or Placed(), rest)

    def _take_away(
        self, fd: int, placed: Placed, wanted: Folder, folders: AbstractSet[str]
    ) -> None:
        """Remove what the new tree does not have, or has with other content or of another kind."""
        find = wanted.files.get
        gone = {
            name
            for name, file in placed.files.items()
            if (new := find(name)) != file and not _same(file, new)
        }
        if placed.symlinks:
            gone.update(
                name for name, link in placed.symlinks.items() if link != wanted.symlinks.get(name)
            )
        gone.update(placed.folders.keys() - folders)
        if self._is_shared:
            # What a worker left where a file belongs is removed too; a folder where one belongs is used.
            leaves = wanted.files.keys() | wanted.symlinks.keys()
            staying = (placed.files.keys() | placed.symlinks.keys() | placed.folders.keys()) - gone
            gone = (leaves - staying) | (gone & folders)
        for name in gone:
            self.leftovers += remove_at(fd, name)
            placed.forget(name)

    def _place_leaves(self, fd: int, placed: Placed, wanted: Folder) -> None:
        for name, file in wanted.files.items():
            if name not in placed.files:
                placed.stamps[name] = _place_file(fd, name, file, self._store)
                placed.files[name] = file
                if self._watches is not None:
                    self._watches.add_file(placed, name)
        for name, link in wanted.symlinks.items():
            if name not in placed.symlinks:
                os.symlink(link.target, name, dir_fd=fd)
                placed.symlinks[name] = link

    def _make_folder(self, fd: int, name: str) -> None:
        try:
            os.mkdir(name, 0o755, dir_fd=fd)
        except FileExistsError:
            if not self._is_shared:
                raise
            if not stat.S_ISDIR(os.stat(name, dir_fd=fd, follow_symlinks=False).st_mode):
                self.leftovers += remove_at(fd, name)
                os.mkdir(name, 0o755, dir_fd=fd)


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


def _folders(wanted: Folder, parents: Parents) -> AbstractSet[str]:
    """Return the names that must be folders.

    Raises:
        RequestError: INVALID_ARGUMENT when one of them is an input file.
    """
    for name in parents.keys() & wanted.files.keys():
        raise invalid_argument(f"{name!r} is an input file and the folder of an output as well")
    # An input symlink stays: the output goes where it leads, and is collected if that is inside.
    return wanted.folders.keys() | (parents.keys() - wanted.symlinks.keys())


def _place_file(fd: int, name: str, file: FileEntry, store: BlobStore) -> int:
    try:
        placed = store.materialise(
            file.digest, name, mode=mode_of(file), mtime_ns=mtime_of(file), dir_fd=fd
        )
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=fd)
        raise
    return placed.st_ctime_ns


def _same(old: FileEntry, new: FileEntry | None) -> bool:
    """Return whether two entries look the same on disk."""
    return new is not None and (old.digest, mode_of(old), mtime_of(old)) == (
        new.digest,
        mode_of(new),
        mtime_of(new),
    )


#: A worker that writes after its response may do so between the removal of leftovers and the staging.
_RETRIES = 3
#: A file that stayed for this many actions is watched instead of being looked at before each.
_GROWN = 4
#: When it can't be watched, it is tried again after this many more.
_RETRY = 100
_ITSELF: AbstractSet[bytes] = frozenset({b""})
#: An empty folder; its digest is like no other.
_NOTHING = Folder(Digest("nothing", 0), {}, {}, {})
_NO_PARENTS = Parents()
