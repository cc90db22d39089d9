"""Bringing a staged folder back to what was placed in it, whatever a worker or an action did there."""

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
        placed: what was put there.
        names: what changed in it; an empty name stands for the folder itself.
        written: files whose content may have changed, by whatever name that was done.
    """

    placed: Placed
    names: AbstractSet[bytes]
    written: AbstractSet[str] = frozenset()


class Sweep:
    """Compares a folder with what was placed in it, and removes everything else.

    Args:
        store: computes digests.
        watch: is given every folder that is compared because nobody knows whether it changed.

    Attributes:
        changed: paths of what was placed and is not as it was.
        leftovers: what can't be removed, and what was unmounted.
    """

    def __init__(self, store: BlobStore, watch: Callable[[int, Placed], None] | None) -> None:
        self._watch = watch
        self._function = store.function
        self.changed: list[str] = []
        self.leftovers: list[Leftover] = []

    def clean_only(self, root: int, suspect: Suspect) -> None:
        """Do that for some names in a folder below the one open as ``root``, not for folders in it.

        An empty name stands for the folder itself, and then all of its names are looked at.
        """
        placed, names = suspect.placed, suspect.names
        path = placed.path
        if path is None:
            return  # it went when the folder above it was cleaned
        before = len(self.changed)
        prefix = "".join(f"{name}/" for name in path)
        with opened(prefix[:-1], root) if path else contextlib.nullcontext(root) as fd:
            for name in suspect.written:
                placed.stamps.pop(name, None)  # its content is compared, whatever its times say
            # A write through a memory map that is still open is reported nowhere, so where one thing
            # changed, all inputs are looked at.
            if b"" in names or placed.files or placed.symlinks:
                self.clean(fd, placed, prefix, is_deep=False)
            else:
                self._clear(fd, placed, prefix, map(os.fsdecode, names), is_deep=False)
        if len(self.changed) > before:
            above = placed.above
            while above is not None:
                above.digest, above = None, above.above

    def clean(self, fd: int, placed: Placed, prefix: str, *, is_deep: bool = True) -> None:
        """Do that for the folder open as ``fd``; forget what is not as it was placed."""
        make_accessible(fd, 0o755)
        if is_deep and self._watch is not None:
            self._watch(fd, placed)
        names = {*os.listdir(fd), *placed.files, *placed.symlinks, *placed.folders}
        self._clear(fd, placed, prefix, names, is_deep=is_deep)

    def _clear(
        self, fd: int, placed: Placed, prefix: str, names: Iterable[str], *, is_deep: bool
    ) -> None:
        before = len(self.changed)
        for name in names:
            is_ours = name in placed.files or name in placed.symlinks or name in placed.folders
            if is_ours and self._is_as_placed(fd, name, placed, prefix, is_deep=is_deep):
                continue
            self.leftovers += remove_at(fd, name)
            if is_ours:
                placed.forget(name)
                self.changed.append(prefix + name)
        if len(self.changed) > before:
            placed.digest = None

    def _is_as_placed(
        self, fd: int, name: str, placed: Placed, prefix: str, *, is_deep: bool
    ) -> bool:
        try:
            found = os.stat(name, dir_fd=fd, follow_symlinks=False)
            if name in placed.files:
                return self._is_intact(fd, name, found, placed)
            if name in placed.symlinks:
                target = placed.symlinks[name].target
                return stat.S_ISLNK(found.st_mode) and os.readlink(name, dir_fd=fd) == target
            return self._is_folder_as_placed(fd, name, found, placed, prefix, is_deep=is_deep)
        except (FileNotFoundError, NotADirectoryError):  # gone, or gone meanwhile
            return False
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            return False  # something is mounted on it

    def _is_folder_as_placed(
        self,
        fd: int,
        name: str,
        found: os.stat_result,
        placed: Placed,
        prefix: str,
        *,
        is_deep: bool,
    ) -> bool:
        if not stat.S_ISDIR(found.st_mode):
            return False
        known = placed.folders[name]
        if not is_deep:
            # Another folder in its place, perhaps of the same inode, was not watched, so what it holds
            # is not known.
            return known.watch >= 0 and found.st_ino == known.inode
        with opened(name, fd) as child:
            self.clean(child, known, f"{prefix}{name}/")
        return True

    def _is_intact(self, fd: int, name: str, found: os.stat_result, placed: Placed) -> bool:
        file = placed.files[name]
        if (
            not stat.S_ISREG(found.st_mode)
            or found.st_size != file.digest.size
            or found.st_mtime_ns != mtime_of(file)
            or stat.S_IMODE(found.st_mode) != mode_of(file)
        ):
            return False
        if found.st_ctime_ns != placed.stamps.get(name):
            # Somebody was here: a link was made to it perhaps, or it was written and its time of
            # modification put back.
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
