"""Looking at an input root before and after a request: outputs, changed inputs, undeclared leftovers.

Symlinks are never followed. What a check makes of the findings is not decided here.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.intake import keep_file
from rpw_fixture.wire.trees import FileEntry, Folder

_BYTECODE = "__pycache__"


class Seen(NamedTuple):
    """A path's kind, size and times; any write through any name changes ``ctime``."""

    mode: int
    size: int
    mtime: int
    ctime: int
    inode: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What one request did to the input root.

    Attributes:
        outputs: by path, a text that is equal for equal outputs.
        changed_inputs: inputs whose content or kind is another one, or that are gone.
        strays: paths that are new or changed and neither declared outputs nor inputs. The bytecode
            Python keeps beside its modules is left out: it is keyed by the module's time and size.
    """

    outputs: Mapping[str, str]
    changed_inputs: tuple[str, ...]
    strays: tuple[str, ...]


def look(root: str) -> dict[str, Seen]:
    """Everything below ``root`` by relative path."""
    return dict(_walk(root, ""))


def glance(root: str, paths: Iterable[str]) -> dict[str, Seen]:
    """See what there is at some paths below ``root`` that is no folder."""
    found = {}
    for path in paths:
        try:
            was = os.lstat(os.path.join(root, path))
        except OSError:
            continue
        if not stat.S_ISDIR(was.st_mode):
            found[path] = Seen(
                was.st_mode, was.st_size, was.st_mtime_ns, was.st_ctime_ns, was.st_ino
            )
    return found


def compare(
    root: str,
    before: Mapping[str, Seen],
    *,
    inputs: Folder,
    outputs: tuple[str, ...],
    store: BlobStore,
) -> Survey:
    """What changed since ``before``.

    Args:
        root: the input root on disk.
        before: what `look` saw before the request.
        inputs: what was staged.
        outputs: declared outputs, relative to the root.
        store: takes the content of outputs, so that differences can be shown later.
    """
    after = look(root)
    declared = {path: path for path in outputs}
    found: dict[str, str] = {}
    strays: list[str] = []
    changed: list[str] = []
    for path, seen in after.items():
        entry = inputs.find(path)
        if _is_below(path, declared):
            found[path] = _told(os.path.join(root, path), seen, store)
        elif before.get(path) == seen or (stat.S_ISDIR(seen.mode) and path in before):
            continue
        elif entry is None:
            if not stat.S_ISDIR(seen.mode) and not _is_bytecode(path):
                strays.append(path)
        elif not isinstance(entry, FileEntry) or not _holds(root, path, seen, entry, store):
            changed.append(path)
    changed += [path for path in before if path not in after and inputs.find(path) is not None]
    strays += [
        f"{path} (deleted)"
        for path in before
        if path not in after and inputs.find(path) is None and not _is_below(path, declared)
    ]
    return Survey(outputs=found, changed_inputs=tuple(changed), strays=tuple(strays))


def count_files(folder: str) -> int:
    """Files below ``folder``."""
    return sum(not stat.S_ISDIR(seen.mode) for _, seen in _walk(folder, ""))


def _walk(root: str, prefix: str) -> Iterator[tuple[str, Seen]]:
    try:
        with os.scandir(os.path.join(root, prefix)) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in found:
        path = prefix + entry.name
        try:
            was = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            continue
        yield path, Seen(was.st_mode, was.st_size, was.st_mtime_ns, was.st_ctime_ns, was.st_ino)
        if stat.S_ISDIR(was.st_mode):
            yield from _walk(root, f"{path}/")


def _is_below(path: str, folders: Mapping[str, str]) -> bool:
    while path:
        if path in folders:
            return True
        path = path.rpartition("/")[0]
    return False


def _is_bytecode(path: str) -> bool:
    return path.endswith(".pyc") and os.path.basename(os.path.dirname(path)) == _BYTECODE


def _told(path: str, seen: Seen, store: BlobStore) -> str:
    if stat.S_ISLNK(seen.mode):
        return f"-> {os.readlink(path)}"
    if stat.S_ISDIR(seen.mode):
        return "folder"
    if not stat.S_ISREG(seen.mode):
        return "neither a file nor a folder nor a link"
    try:
        digest = keep_file(store, path)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return f"{digest}{' executable' if seen.mode & stat.S_IXUSR else ''}"


def _holds(root: str, path: str, seen: Seen, entry: FileEntry, store: BlobStore) -> bool:
    if not stat.S_ISREG(seen.mode) or seen.size != entry.digest.size:
        return False
    return keep_file(store, os.path.join(root, path)) == entry.digest
