"""The index under all blob stores of a server: one budget, one order of use, one folder.

It decides which entries are evicted when room is short. Digests and verification are in blobs.py.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Self

from rpw_fixture.errors import resource_exhausted
from rpw_fixture.storage.files import FileState, TemporaryFiles, remove, state_of
from rpw_fixture.wire.digests import Digest

#: Making room frees 1/16 of the budget more than needed, so that it happens rarely.
_SLACK_PART = 16


class Blob:
    """One entry. It may be read without a lock.

    Attributes:
        hash: its key in ``index``.
        size: bytes.
        data: the content, when it is in memory.
        path: of the file with the content, when it is on disk.
        touched: tick of the last use.
        pins: number of running actions that need it.
        index: its store's entries by hash; it is in there until it is evicted.
        verified: state of the file when its content was last verified; None before that.
    """

    __slots__ = ("data", "hash", "index", "path", "pins", "size", "touched", "verified")

    def __init__(
        self, hash_: str, size: int, index: dict[str, Blob], data: bytes | None, path: str | None
    ) -> None:
        self.hash = hash_
        self.size = size
        self.index = index
        self.data = data
        self.path = path
        self.touched = 0
        self.pins = 0
        self.verified: FileState | None = None


class BlobIndex:
    """Keeps entries within a budget of memory and a budget of bytes in total.

    Above the memory budget, the least recently used entries move to files. Above the total budget, the
    least recently used entries that are not pinned are evicted.

    Args:
        folder: for files; temporary ones are in its subfolder ``tmp``.
        memory_bytes: most bytes in memory.
        max_bytes: most bytes in total.
    """

    def __init__(self, folder: Path, *, memory_bytes: int, max_bytes: int) -> None:
        self.files = TemporaryFiles(folder / "tmp")
        self.evictions = 0
        self.tick = itertools.count(1).__next__
        self.lock = threading.Lock()
        self._sweeping = threading.Lock()
        self._indexes: list[dict[str, Blob]] = []
        self._memory_bytes = memory_bytes
        self._max_bytes = max_bytes
        self.memory_used = 0
        self.used = 0

    def new_index(self) -> dict[str, Blob]:
        """Return the index of a new store: its entries by hash."""
        index: dict[str, Blob] = {}
        self._indexes.append(index)
        return index

    def add(self, *blobs: Blob) -> None:
        """Add entries, after making room for all of them.

        When the same blob is there already, that entry stays, and the file of the new one is removed.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when they do not fit, or the disk is full.
        """
        memory = sum(blob.size for blob in blobs if blob.data is not None)
        self._make_room(sum(blob.size for blob in blobs), memory)
        duplicates = []
        with self.lock:
            now = self.tick()
            for blob in blobs:
                present = blob.index.setdefault(blob.hash, blob)
                present.touched = now
                if present is blob:
                    self.used += blob.size
                    self.memory_used += 0 if blob.data is None else blob.size
                else:
                    duplicates.append(blob)
        _delete_files(duplicates)

    def keep_in_memory(self, blob: Blob, data: bytes) -> None:
        """Keep the content of a blob on disk in memory too, if there is room."""
        with self.lock:
            fits = self.memory_used + blob.size <= self._memory_bytes
            if fits and blob.data is None and blob.index.get(blob.hash) is blob:
                blob.data = data
                self.memory_used += blob.size

    def drop(self, unwanted: Callable[[Blob], bool]) -> int:
        """Remove every entry for which ``unwanted`` is true, pinned or not; return how many."""
        with self.lock:
            victims = [blob for blob in self._all() if unwanted(blob)]
            self._forget(victims)
        _delete_files(victims)
        return len(victims)

    def _make_room(self, size: int, memory: int) -> None:
        if size > self._max_bytes:
            raise resource_exhausted(
                f"a blob of {size} bytes does not fit into a CAS of {self._max_bytes} bytes; "
                "raise cas_max_bytes"
            )
        if memory and self.memory_used + memory > self._memory_bytes:
            with self._sweeping:  # one thread makes room and the others wait, so clients slow down
                self._spill(self.memory_used + memory - self._memory_bytes)
        if self.used + size > self._max_bytes:
            with self._sweeping:
                self._evict(self.used + size - self._max_bytes)

    def _spill(self, excess: int) -> None:
        if excess <= 0:
            return
        wanted = excess + self._memory_bytes // _SLACK_PART
        with self.lock:
            in_memory = [blob for blob in self._all() if blob.data]
        for blob in _oldest(in_memory, wanted):
            self._move_to_disk(blob)

    def _move_to_disk(self, blob: Blob) -> None:
        data = blob.data
        if data is None:
            return
        path, state = blob.path, blob.verified
        if path is None:
            path = self.files.write(data)
            state = state_of(path)
        with self.lock:
            is_present = blob.index.get(blob.hash) is blob
            if is_present and blob.data is not None:
                blob.path, blob.verified = path, state
                blob.data = None
                self.memory_used -= blob.size
        if not is_present:
            remove(path)

    def _evict(self, excess: int) -> None:
        if excess <= 0:
            return
        with self.lock:
            free = [blob for blob in self._all() if not blob.pins and blob.size]
            victims = _oldest(free, excess + self._max_bytes // _SLACK_PART)
            self._forget(victims)
        _delete_files(victims)

    def _forget(self, victims: Iterable[Blob]) -> None:
        for blob in victims:
            del blob.index[blob.hash]
            self.used -= blob.size
            if blob.data is not None:
                self.memory_used -= blob.size
            self.evictions += 1

    def _all(self) -> Iterable[Blob]:
        return itertools.chain.from_iterable(index.values() for index in self._indexes)


def _oldest(blobs: list[Blob], wanted: int) -> list[Blob]:
    """Return the least recently used of ``blobs``: as few as have ``wanted`` bytes together, or all."""
    blobs.sort(key=lambda blob: blob.touched)
    ends = itertools.accumulate(blob.size for blob in blobs)
    count = sum(1 for _ in itertools.takewhile(lambda end: end < wanted, ends))
    return blobs[: count + 1]


def _delete_files(blobs: Iterable[Blob]) -> None:
    for blob in blobs:
        if blob.path is not None:
            remove(blob.path)


class Pins:
    """Blobs that are not evicted before `release`; as a context manager it releases them at its end.

    Attributes:
        absent: digests that could not be pinned, because they are not stored.
    """

    def __init__(self, blob_index: BlobIndex, blobs: list[Blob], absent: list[Digest]) -> None:
        self._blob_index = blob_index
        self._blobs = blobs
        self.absent = absent

    def release(self) -> None:
        """Allow eviction again; a second call does nothing."""
        with self._blob_index.lock:
            blobs, self._blobs = self._blobs, []
            for blob in blobs:
                blob.pins -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
