"""An input root on disk, brought from one action's inputs to the next by the difference only.

A `StagedRoot` remembers what it placed. Before each action it compares the disk with that memory,
removes everything else (whatever a worker or an earlier action left) and then applies the Merkle
difference: folders of equal digest are not entered. Every step goes through folder descriptors and
follows no symlink, so what an action puts in place of a folder can't lead us out of the root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from rpw_fixture.errors import invalid_argument
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.trees import FileEntry, Folder, SymlinkEntry

#: Modification time of every input, 2000-01-01 UTC: equal inputs look equal, and a write shows.
INPUT_MTIME_NS = 946_684_800 * 10**9
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Parents(dict[str, "Parents"]):
    """Folders that must exist besides the input tree, as nested names."""

    @classmethod
    def of(cls, folders: Iterable[str]) -> Parents:
        """The folders on the way to and at each of ``folders``, paths relative to the root."""
        root = cls()
        for path in folders:
            here = root
            for name in path.split("/") if path else ():
                here = here.setdefault(name, cls())
        return root


@dataclass(slots=True)
class _Placed:
    """What was put into one folder on disk."""

    files: dict[str, FileEntry] = field(default_factory=dict)
    symlinks: dict[str, SymlinkEntry] = field(default_factory=dict)
    folders: dict[str, _Placed] = field(default_factory=dict)
    digest: Digest | None = None
    parents: Parents = field(default_factory=Parents)


class StagedRoot:
    """A folder that holds the inputs of one action after another.

    Args:
        path: an existing empty folder, ours alone.
    """

    def __init__(self, path: str) -> None:
        self.path = path
        self._placed = _Placed()

    def stage(self, root: Folder, parents: Parents, store: BlobStore) -> list[str]:
        """Makes the folder hold exactly ``root`` and ``parents``.

        Returns:
            Paths of inputs that were found changed, replaced or gone since they were placed.

        Raises:
            RequestError: INVALID_ARGUMENT when a parent of an output is an input file.
            BlobMissingError: when a file's blob has gone in the meantime.
            OSError: such as a full disk.
        """
        changed: list[str] = []
        with _opened(self.path) as fd:
            _sweep(fd, self._placed, "", changed)
            _apply(fd, self._placed, root, parents, store)
        return changed

    def add(self, root: Folder, parents: Parents, outputs: Iterable[str], store: BlobStore) -> None:
        """Makes the folder hold ``root`` and ``parents`` as well, while others work in it.

        Nothing is removed but what lies where the new action's ``outputs`` belong. The caller knows
        that the trees do not contradict each other.

        Raises:
            BlobMissingError, OSError: as `stage`.
        """
        with _opened(self.path) as fd:
            for path in outputs:
                if root.find(path) is None:
                    remove(os.path.join(self.path, path))
            _add(fd, self._placed, root, parents, store)


def remove(path: str) -> None:
    """Deletes a file or a whole folder, whatever its modes; nothing there is fine."""
    parent, name = os.path.split(path)
    with contextlib.suppress(FileNotFoundError), _opened(parent) as fd:
        _remove(fd, name)


@contextlib.contextmanager
def _opened(name: str, parent: int | None = None) -> Iterator[int]:
    try:
        fd = os.open(name, _OPEN_FOLDER, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        fd = os.open(name, _OPEN_FOLDER, dir_fd=parent)
    try:
        yield fd
    finally:
        os.close(fd)


def _sweep(fd: int, placed: _Placed, prefix: str, changed: list[str]) -> bool:
    """Removes what was not placed and forgets what is not as it was placed; True if any was so."""
    seen: set[str] = set()
    is_hurt = False
    if os.fstat(fd).st_mode & 0o700 != 0o700:
        os.fchmod(fd, 0o755)
    with os.scandir(fd) as entries:
        for entry in list(entries):
            name = entry.name
            if name in placed.folders and entry.is_dir(follow_symlinks=False):
                with _opened(name, fd) as child:
                    is_hurt |= _sweep(child, placed.folders[name], f"{prefix}{name}/", changed)
                seen.add(name)
            elif _is_intact(fd, entry, placed):
                seen.add(name)
            else:
                _remove(fd, name)
    for group in (placed.files, placed.symlinks, placed.folders):
        for name in group.keys() - seen:
            del group[name]
            changed.append(prefix + name)
            is_hurt = True
    if is_hurt:
        placed.digest = None
    return is_hurt


def _is_intact(fd: int, entry: os.DirEntry[str], placed: _Placed) -> bool:
    file = placed.files.get(entry.name)
    if file is not None:
        found = entry.stat(follow_symlinks=False)
        return (
            stat.S_ISREG(found.st_mode)
            and found.st_size == file.digest.size
            and found.st_mtime_ns == INPUT_MTIME_NS
            and stat.S_IMODE(found.st_mode) == _mode(file)
        )
    link = placed.symlinks.get(entry.name)
    return (
        link is not None
        and entry.is_symlink()
        and os.readlink(entry.name, dir_fd=fd) == link.target
    )


def _apply(
    fd: int, placed: _Placed, folder: Folder | None, parents: Parents, store: BlobStore
) -> None:
    digest = folder.digest if folder is not None else None
    if digest is not None and placed.digest == digest and placed.parents == parents:
        return
    placed.digest = None
    wanted = folder if folder is not None else _NOTHING
    folders = {**dict.fromkeys(wanted.folders), **dict.fromkeys(parents)}
    _take_away(fd, placed, wanted, folders)
    _place_leaves(fd, placed, wanted, store)
    for name in folders:
        _apply_child(fd, placed, name, wanted, parents, store)
    placed.digest, placed.parents = digest, parents


def _apply_child(
    fd: int, placed: _Placed, name: str, wanted: Folder, parents: Parents, store: BlobStore
) -> None:
    if name in wanted.symlinks:
        return
    if name in wanted.files:
        raise invalid_argument(f"{name!r} is an input file and the folder of an output as well")
    child = wanted.folders.get(name)
    below = parents.get(name, _NO_PARENTS)
    known = placed.folders.get(name)
    if known is None:
        os.mkdir(name, 0o755, dir_fd=fd)
        known = placed.folders[name] = _Placed()
    elif child is not None and known.digest == child.digest and known.parents == below:
        return
    with _opened(name, fd) as child_fd:
        _apply(child_fd, known, child, below, store)


def _add(
    fd: int, placed: _Placed, folder: Folder | None, parents: Parents, store: BlobStore
) -> None:
    """Places what is not there yet."""
    placed.digest = None
    wanted = folder if folder is not None else _NOTHING
    for name in {**wanted.files, **wanted.symlinks}:
        if name not in placed.files and name not in placed.symlinks:
            with contextlib.suppress(FileNotFoundError):
                _remove(fd, name)  # a worker left it
    _place_leaves(fd, placed, wanted, store)
    for name in {**dict.fromkeys(wanted.folders), **dict.fromkeys(parents)}:
        if name not in placed.folders:
            with contextlib.suppress(FileExistsError):
                os.mkdir(name, 0o755, dir_fd=fd)
            placed.folders[name] = _Placed()
        with _opened(name, fd) as child_fd:
            below = parents.get(name, _NO_PARENTS)
            _add(child_fd, placed.folders[name], wanted.folders.get(name), below, store)


def _place_leaves(fd: int, placed: _Placed, wanted: Folder, store: BlobStore) -> None:
    for name, file in wanted.files.items():
        if name not in placed.files:
            _place_file(fd, name, file, store)
            placed.files[name] = file
    for name, link in wanted.symlinks.items():
        if name not in placed.symlinks:
            os.symlink(link.target, name, dir_fd=fd)
            placed.symlinks[name] = link


def _take_away(fd: int, placed: _Placed, wanted: Folder, folders: dict[str, None]) -> None:
    """Removes what the new tree does not have, or has with other content."""
    for name, file in list(placed.files.items()):
        new = wanted.files.get(name)
        if new is None or new.digest != file.digest or new.is_executable != file.is_executable:
            os.unlink(name, dir_fd=fd)
            del placed.files[name]
    for name, link in list(placed.symlinks.items()):
        if name not in wanted.symlinks or wanted.symlinks[name].target != link.target:
            os.unlink(name, dir_fd=fd)
            del placed.symlinks[name]
    for name in [each for each in placed.folders if each not in folders]:
        _remove(fd, name)
        del placed.folders[name]


def _place_file(fd: int, name: str, file: FileEntry, store: BlobStore) -> None:
    try:
        store.materialise(file.digest, name, mode=_mode(file), dir_fd=fd)
        os.utime(name, ns=(INPUT_MTIME_NS, INPUT_MTIME_NS), dir_fd=fd, follow_symlinks=False)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=fd)
        raise


def _mode(file: FileEntry) -> int:
    return 0o555 if file.is_executable else 0o444


def _remove(fd: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=fd)
    except (IsADirectoryError, PermissionError):  # Linux says the one, macOS the other
        try:
            shutil.rmtree(name, dir_fd=fd)
        except PermissionError:
            _open_up(fd, name)
            shutil.rmtree(name, dir_fd=fd)


def _open_up(fd: int, name: str) -> None:
    """Gives us back folders whose mode an action changed so that they can't be emptied."""
    os.chmod(name, 0o700, dir_fd=fd)
    with _opened(name, fd) as folder, os.scandir(folder) as entries:
        for entry in list(entries):
            if entry.is_dir(follow_symlinks=False):
                _open_up(folder, entry.name)


_NOTHING = Folder(Digest("", 0), {}, {}, {})
_NO_PARENTS = Parents()
