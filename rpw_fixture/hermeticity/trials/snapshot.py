"""Comparing an input root before and after a request: outputs, changed inputs, undeclared files.

Symlinks are never followed and mounts never entered, whatever the worker does meanwhile.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.file_intake import OPEN_OUTPUT, put_file
from rpw_fixture.support.beneath import FOLDER, Beneath, open_beneath
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.trees import FileEntry, Folder

#: What follows the path of an undeclared file that is gone.
GONE = " (deleted)"
_BYTECODE = "__pycache__"
_BYTECODE_NAME = re.compile(r"\.pyc(\.\d+)?$")
#: Folders deeper than this are not read; each level needs a descriptor.
_DEEPEST = 200


class FileState(NamedTuple):
    """A path's kind, size and times; a write through any name of the file changes ``ctime``."""

    mode: int
    size: int
    mtime: int
    ctime: int
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChanges:
    """The changes of an input root by one request.

    Attributes:
        outputs: the outputs by path, each as a text that is equal for equal outputs.
        changed_inputs: inputs that have another content or kind, or are gone.
        strays: new or changed paths that are neither declared outputs nor inputs, without the bytecode
            that Python writes beside modules: that is valid only for the module's time and size.
    """

    outputs: Mapping[str, str]
    changed_inputs: tuple[str, ...]
    strays: tuple[str, ...]


def look(root: Beneath) -> dict[str, FileState]:
    """Return the state of everything below ``root`` by relative path; empty if it is gone."""
    with contextlib.suppress(OSError), root.opened() as fd:
        return dict(_walk(fd, "", 0))
    return {}


def look_at(root: Beneath, paths: Iterable[str]) -> dict[str, FileState]:
    """Return the state of those of some paths below ``root`` that are not folders."""
    found = {}
    with contextlib.suppress(OSError), root.opened() as fd:
        for path in paths:
            with contextlib.suppress(OSError):
                was = _state(fd, path)
                if not stat.S_ISDIR(was.st_mode):
                    found[path] = FileState(
                        was.st_mode, was.st_size, was.st_mtime_ns, was.st_ctime_ns, was.st_ino
                    )
    return found


def contents(root: Beneath, paths: Iterable[str], most: int) -> dict[str, bytes]:
    """Return the contents of the regular files among some paths, the first ``most`` bytes of each."""
    found = {}
    with contextlib.suppress(OSError), root.opened() as fd:
        for path in paths:
            with contextlib.suppress(OSError):
                file = open_beneath(fd, path, OPEN_OUTPUT)
                try:
                    found[path] = os.read(file, most)
                finally:
                    os.close(file)
    return found


def _state(root: int, path: str) -> os.stat_result:
    above, name = posixpath.split(path)
    fd = open_beneath(root, above or ".", FOLDER)
    try:
        return os.stat(name, dir_fd=fd, follow_symlinks=False)
    finally:
        os.close(fd)


def compare(
    root: Beneath,
    before: Mapping[str, FileState],
    *,
    inputs: Folder,
    outputs: tuple[str, ...],
    store: BlobStore,
) -> RootChanges:
    """Return what changed since ``before``.

    Args:
        root: the input root on disk; if it is gone, everything in it counts as deleted.
        before: the result of `look` before the request.
        inputs: the staged inputs.
        outputs: declared outputs, relative to the root.
        store: takes the content of outputs, so that differences can be shown later.
    """
    with contextlib.ExitStack() as stack:
        try:
            fd = stack.enter_context(root.opened())
        except OSError:
            return _compare(-1, {}, before, inputs=inputs, outputs=outputs, store=store)
        after = dict(_walk(fd, "", 0))
        return _compare(fd, after, before, inputs=inputs, outputs=outputs, store=store)


def _compare(
    root: int,
    after: Mapping[str, FileState],
    before: Mapping[str, FileState],
    *,
    inputs: Folder,
    outputs: tuple[str, ...],
    store: BlobStore,
) -> RootChanges:
    declared = {path: path for path in outputs}
    found: dict[str, str] = {}
    strays: list[str] = []
    changed: list[str] = []
    for path, state in after.items():
        entry = inputs.find(path)
        if _is_below(path, declared):
            found[path] = _describe(root, path, state, store)
        elif _is_as_before(before.get(path), state):
            continue
        elif entry is None:
            if not stat.S_ISDIR(state.mode) and not _is_bytecode(path):
                strays.append(path)
        elif not isinstance(entry, FileEntry) or not _holds(root, path, state, entry, store):
            changed.append(path)
    changed += [path for path in before if path not in after and inputs.find(path) is not None]
    gone = [path for path in before if path not in after and inputs.find(path) is None]
    strays += [
        f"{path}{GONE}" for path in gone if not _is_below(path, declared) and not _is_bytecode(path)
    ]
    return RootChanges(outputs=found, changed_inputs=tuple(changed), strays=tuple(strays))


def count_files(folder: Beneath) -> int:
    """Return the number of files below ``folder``."""
    return sum(not stat.S_ISDIR(state.mode) for state in look(folder).values())


def _walk(folder: int, prefix: str, depth: int) -> Iterator[tuple[str, FileState]]:
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        path = prefix + entry.name
        try:
            was = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield (
            path,
            FileState(was.st_mode, was.st_size, was.st_mtime_ns, was.st_ctime_ns, was.st_ino),
        )
        if stat.S_ISDIR(was.st_mode) and depth < _DEEPEST:
            yield from _walk_below(folder, entry.name, path, depth + 1)


def _walk_below(folder: int, name: str, path: str, depth: int) -> Iterator[tuple[str, FileState]]:
    try:
        fd = open_beneath(folder, name, FOLDER)
    except OSError:  # gone, replaced, not readable or a mount
        return
    try:
        yield from _walk(fd, f"{path}/", depth)
    finally:
        os.close(fd)


def _is_as_before(was: FileState | None, state: FileState) -> bool:
    """Return whether a path is as it was; a folder is, whatever happened to the files in it."""
    is_folder = was is not None and stat.S_ISDIR(was.mode) and stat.S_ISDIR(state.mode)
    return is_folder or was == state


def _is_below(path: str, folders: Mapping[str, str]) -> bool:
    while path:
        if path in folders:
            return True
        path = path.rpartition("/")[0]
    return False


def _is_bytecode(path: str) -> bool:
    """Return whether Python keeps a module there, or writes it there before it gets its name."""
    folder, name = posixpath.split(path)
    return posixpath.basename(folder) == _BYTECODE and bool(_BYTECODE_NAME.search(name))


def _describe(root: int, path: str, state: FileState, store: BlobStore) -> str:
    try:
        if stat.S_ISLNK(state.mode):
            return f"-> {_target(root, path)}"
        if stat.S_ISDIR(state.mode):
            return "folder"
        if not stat.S_ISREG(state.mode):
            return "not a file, folder or link"
        digest = _kept(root, path, store)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return f"{digest}{' executable' if state.mode & stat.S_IXUSR else ''}"


def _holds(root: int, path: str, state: FileState, entry: FileEntry, store: BlobStore) -> bool:
    if not stat.S_ISREG(state.mode) or state.size != entry.digest.size:
        return False
    return _kept(root, path, store) == entry.digest


def _kept(root: int, path: str, store: BlobStore) -> Digest:
    fd = open_beneath(root, path, OPEN_OUTPUT)
    try:
        return put_file(store, fd)
    finally:
        os.close(fd)


def _target(root: int, path: str) -> str:
    above, name = posixpath.split(path)
    fd = open_beneath(root, above or ".", FOLDER)
    try:
        return os.readlink(name, dir_fd=fd)
    finally:
        os.close(fd)
