"""Brings a staged folder back to what was placed in it, whatever a worker or an action did there."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable
from collections.abc import Set as AbstractSet
from typing import NamedTuple

from rpw_fixture.execution.staging.placed import Placed, mode_of, mtime_of
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.files import CHUNK_BYTES
from rpw_fixture.support.beneath import open_beneath, opened
from rpw_fixture.support.removal import Leftover, make_accessible, remove_at

_OPEN_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Suspect(NamedTuple):
    """A folder in which something changed.

    Attributes:
        placed: what was placed in it.
        names: names that changed in it; an empty name stands for the folder itself.
        written: files whose content may have changed, perhaps by another name of theirs (a hard link).
    """

    placed: Placed
    names: AbstractSet[bytes]
    written: AbstractSet[str] = frozenset()


class _OpenFolder(NamedTuple):
    """An open folder of the root.

    Attributes:
        fd: its descriptor.
        placed: what was placed in it.
        prefix: its path with a slash at the end; "" for the root.
    """

    fd: int
    placed: Placed
    prefix: str


class Sweep:
    """Compares folders with what was placed in them, and removes everything else.

    Args:
        store: computes digests.
        watch: called with each folder that is compared as a whole, to watch it from then on.

    Attributes:
        changed: paths of placed files, links and folders that were changed or removed.
        leftovers: what can't be removed, and what was unmounted.
    """

    def __init__(self, store: BlobStore, watch: Callable[[int, Placed], None] | None) -> None:
        self._watch = watch
        self._function = store.function
        self.changed: list[str] = []
        self.leftovers: list[Leftover] = []

    def clean(self, root: int, placed: Placed) -> None:
        """Compare the root and all folders in it; remove and forget what differs.

        Args:
            root: descriptor of the root.
            placed: what was placed in it.
        """
        self._clean(_OpenFolder(root, placed, ""), is_deep=True)

    def clean_only(self, root: int, suspect: Suspect) -> None:
        """Compare a folder's suspect names, or all of them; remove and forget what differs.

        Folders in it are not entered.

        Args:
            root: descriptor of the root.
            suspect: the folder, and the names.
        """
        placed, names = suspect.placed, suspect.names
        path = placed.path
        if path is None:
            return  # it was removed with the folder above it
        before = len(self.changed)
        prefix = "".join(f"{name}/" for name in path)
        with opened(prefix[:-1], root) if path else contextlib.nullcontext(root) as fd:
            folder = _OpenFolder(fd, placed, prefix)
            for name in suspect.written:
                placed.stamps.pop(name, None)  # so that its content is compared
            # The kernel does not report writes through a memory map that is still open, so where one thing
            # changed, all inputs are compared.
            if b"" in names or placed.files or placed.symlinks:
                self._clean(folder, is_deep=False)
            else:
                self._remove_changed(folder, map(os.fsdecode, names), is_deep=False)
        if len(self.changed) > before:
            above = placed.above
            while above is not None:
                above.digest, above = None, above.above

    def _clean(self, folder: _OpenFolder, *, is_deep: bool) -> None:
        """Compare all names of a folder; ``is_deep`` enters the folders in it."""
        fd, placed, _ = folder
        make_accessible(fd, 0o755)
        if is_deep and self._watch is not None:
            self._watch(fd, placed)
        names = {*os.listdir(fd), *placed.files, *placed.symlinks, *placed.folders}
        self._remove_changed(folder, names, is_deep=is_deep)

    def _remove_changed(self, folder: _OpenFolder, names: Iterable[str], *, is_deep: bool) -> None:
        fd, placed, prefix = folder
        before = len(self.changed)
        for name in names:
            is_ours = name in placed.files or name in placed.symlinks or name in placed.folders
            if is_ours and self._is_as_placed(folder, name, is_deep=is_deep):
                continue
            self.leftovers += remove_at(fd, name)
            if is_ours:
                placed.forget(name)
                self.changed.append(prefix + name)
        if len(self.changed) > before:
            placed.digest = None

    def _is_as_placed(self, folder: _OpenFolder, name: str, *, is_deep: bool) -> bool:
        fd, placed, _ = folder
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if name in placed.files:
                return self._is_intact(folder, name, found)
            if name in placed.symlinks:
                target = placed.symlinks[name].target
                return stat.S_ISLNK(found.st_mode) and os.readlink(name, dir_fd=fd) == target
            return self._is_folder_as_placed(folder, name, found, is_deep=is_deep)
        except (FileNotFoundError, NotADirectoryError):  # gone, or gone meanwhile
            return False
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False  # something is mounted on it

    def _is_folder_as_placed(
        self, folder: _OpenFolder, name: str, found: os.stat_result, *, is_deep: bool
    ) -> bool:
        if not stat.S_ISDIR(found.st_mode):
            return False
        known = folder.placed.folders[name]
        if not is_deep:
            # Another folder in its place was not watched, so its content is unknown. It may have the same
            # inode number, but then the watch of the former folder has ended.
            return known.watch >= 0 and found.st_ino == known.inode
        with opened(name, folder.fd) as child:
            self._clean(_OpenFolder(child, known, f"{folder.prefix}{name}/"), is_deep=True)
        return True

    def _is_intact(self, folder: _OpenFolder, name: str, found: os.stat_result) -> bool:
        fd, placed, _ = folder
        file = placed.files[name]
        if (
            not stat.S_ISREG(found.st_mode)
            or found.st_size != file.digest.size
            or found.st_mtime_ns != mtime_of(file)
            or stat.S_IMODE(found.st_mode) != mode_of(file)
        ):
            return False
        if found.st_ctime_ns != placed.stamps.get(name):
            # The inode was changed: perhaps a hard link was made, or the file was written and its time of
            # modification set back.
            if self._hash(fd, name) != file.digest.hash:
                return False
            placed.stamps[name] = found.st_ctime_ns
        return True

    def _hash(self, fd: int, name: str) -> str:
        hasher = self._function.new()
        file = open_beneath(fd, name, _OPEN_FILE)
        try:
            while data := os.read(file, CHUNK_BYTES):
                hasher.update(data)
        finally:
            os.close(file)
        return hasher.hexdigest()
