"""Copies of inputs, made while a request passes; what did not change is not read again."""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rpw_fixture.storage.recording_folder import BLOBS_FOLDER, RecordingFolder
from rpw_fixture.support.paths import join_normalised, leads_out

_PIECE = 1 << 20
#: A file changed less than this before it was read may change again with the same times, nanoseconds.
_YOUNG = 100_000_000
_MOST_DEPTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class InputCopy:
    """One file and the digest of its content, ``hash/size``."""

    path: str
    digest: str
    is_executable: bool


class InputCopies:
    """Keeps the content of inputs in a recording."""

    def __init__(self, folder: RecordingFolder) -> None:
        self._folder = folder
        self._known: dict[str, tuple[object, InputCopy]] = {}

    def take(self, root: str, paths: Iterable[str]) -> Mapping[str, InputCopy]:
        """Keep the files at ``paths``, which are relative to ``root``; missing ones are left out.

        A folder stands for all files below it.

        Raises:
            OSError: when the recording can't be written.
        """
        found: dict[str, InputCopy] = {}
        for path in paths:
            normal = join_normalised("", path) if path else "."
            if normal == "." or leads_out(normal):
                continue
            for each in self._files(root, normal, 0):
                copy = self._copy(root, each)
                if copy is not None:
                    found[each] = copy
        return found

    def _files(self, root: str, path: str, depth: int) -> Iterator[str]:
        full = os.path.join(root, path)
        if not os.path.isdir(full):
            yield path
        elif depth < _MOST_DEPTH:  # links may form circles
            try:
                names = sorted(os.listdir(full))
            except OSError:
                return
            for name in names:
                yield from self._files(root, f"{path}/{name}", depth + 1)

    def _copy(self, root: str, path: str) -> InputCopy | None:
        full = os.path.join(root, path)
        try:
            seen = os.stat(full)
        except OSError:
            return None
        if not stat.S_ISREG(seen.st_mode):
            return None
        known = self._known.get(full)
        if known is not None and known[0] == _signature(seen):
            return known[1]
        return self._read(full, path)

    def _read(self, full: str, path: str) -> InputCopy | None:
        try:
            source = open(full, "rb")  # noqa: SIM115 - see below
        except OSError:
            return None
        with source:
            seen = os.fstat(source.fileno())
            hasher, size = hashlib.sha256(), 0
            fd, partial = tempfile.mkstemp(dir=self._folder.folder / BLOBS_FOLDER)
            with open(fd, "wb") as target:
                while piece := source.read(_PIECE):
                    hasher.update(piece)
                    size += target.write(piece)
        digest = f"{hasher.hexdigest()}/{size}"
        self._folder.adopt(digest, Path(partial))
        copy = InputCopy(path=path, digest=digest, is_executable=bool(seen.st_mode & 0o100))
        if time.time_ns() - seen.st_ctime_ns > _YOUNG:
            self._known[full] = (_signature(seen), copy)
        return copy


def _signature(seen: os.stat_result) -> object:
    return seen.st_dev, seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns, seen.st_mode
