"""Places inputs: applies the difference between what a folder holds and what an action needs."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Set as AbstractSet

from rpw_fixture.errors import invalid_argument
from rpw_fixture.execution.staging.placed import Parents, Placed, mode_of, mtime_of
from rpw_fixture.execution.staging.root_watches import RootWatches
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.beneath import opened
from rpw_fixture.support.removal import Leftover, remove_at
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.trees import FileEntry, Folder

#: An empty folder; its digest equals no other.
_NOTHING = Folder(Digest("nothing", 0), {}, {}, {})
_NO_PARENTS = Parents()


class Placing:
    """Applies the difference between what was placed and what is wanted.

    Args:
        store: holds the files.
        is_shared: whether other actions work in the folder, whose files must stay.
        watches: gets every folder that is not watched yet, and every new file.

    Attributes:
        leftovers: what can't be removed, and what was unmounted.
    """

    def __init__(self, store: BlobStore, *, is_shared: bool, watches: RootWatches | None) -> None:
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


def _folders(wanted: Folder, parents: Parents) -> AbstractSet[str]:
    """Return the names that must be folders, always in the same order.

    Many file systems list a folder in the order of creation, and results may follow that order.

    Raises:
        RequestError: INVALID_ARGUMENT when one of them is an input file.
    """
    for name in parents.keys() & wanted.files.keys():
        raise invalid_argument(f"{name!r} is an input file and the folder of an output as well")
    # An input symlink stays: the output goes where it leads, and is collected if that is inside.
    above_outputs = (name for name in parents if name not in wanted.symlinks)
    return dict.fromkeys((*wanted.folders, *above_outputs)).keys()


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
