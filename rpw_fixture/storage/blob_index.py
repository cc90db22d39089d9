"""The index under all blob stores of a server: one budget, one order of use, one folder.

Here are entries and who has to leave when room is short. What a digest means, and verification,
live in blobs.py.
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

#: A sweep frees this much more than asked, so that sweeps stay rare (a part of the budget).
_SLACK = 16


class Blob:
    """One entry. Whoever holds it may read it without a lock.

    Attributes:
        hash: its key in ``index``.
        size: in bytes.
        data: the content, when it is in memory.
        path: of the file that holds the content, when it is on disk.
        touched: tick of the last use.
        pins: how many running actions need it.
        index: the store's entries by hash, where it is while it is present.
        seen: the state of the file when its content was known to be right; None while it never was.
    """

    __slots__ = ("data", "hash", "index", "path", "pins", "seen", "size", "touched")

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
        self.seen: FileState | None = None


class BlobIndex:
    """Keeps entries within a budget of memory and of bytes in all.

    Over the memory budget the least recently used entries move to files; over the whole budget they
    are dropped, never one that is pinned.

    Args:
        folder: for files; temporary ones go to ``tmp`` in it.
        memory_bytes: most bytes kept in memory.
        max_bytes: most bytes kept at all.
    """

    def __init__(self, folder: Path, *, memory_bytes: int, max_bytes: int) -> None:
        self.files = TemporaryFiles(folder / "tmp")
        self.evictions = 0
        self.tick = itertools.count(1).__next__
        self.lock = threading.Lock()
        self._sweeping = threading.Lock()
        self._homes: list[dict[str, Blob]] = []
        self._memory_bytes = memory_bytes
        self._max_bytes = max_bytes
        self.memory_used = 0
        self.used = 0

    def new_index(self) -> dict[str, Blob]:
        """The entries by hash of one more store."""
        index: dict[str, Blob] = {}
        self._homes.append(index)
        return index

    def add(self, *blobs: Blob) -> None:
        """Puts entries into the index, and makes room for all of them first.

        When the same blob is there already, that one stays, and the file of this one is removed.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when they can't fit, or the disk is full.
        """
        memory = sum(blob.size for blob in blobs if blob.data is not None)
        self._make_room(sum(blob.size for blob in blobs), memory)
        late = []
        with self.lock:
            now = self.tick()
            for blob in blobs:
                present = blob.index.setdefault(blob.hash, blob)
                present.touched = now
                if present is blob:
                    self.used += blob.size
                    self.memory_used += 0 if blob.data is None else blob.size
                else:
                    late.append(blob)
        _delete_files(late)

    def keep_in_memory(self, blob: Blob, data: bytes) -> None:
        """Has a blob on disk in memory too, from now on, if there is room."""
        with self.lock:
            fits = self.memory_used + blob.size <= self._memory_bytes
            if fits and blob.data is None and blob.index.get(blob.hash) is blob:
                blob.data = data
                self.memory_used += blob.size

    def drop(self, unwanted: Callable[[Blob], bool]) -> int:
        """Removes every entry for which ``unwanted`` holds, pinned or not; how many."""
        with self.lock:
            victims = [blob for blob in self._all() if unwanted(blob)]
            self._forget(victims)
        _delete_files(victims)
        return len(victims)

    def _make_room(self, size: int, memory: int) -> None:
        if size > self._max_bytes:
            raise resource_exhausted(
                f"a blob of {size} bytes can't fit a CAS of {self._max_bytes} bytes; "
                "raise cas_max_bytes"
            )
        if memory and self.memory_used + memory > self._memory_bytes:
            with self._sweeping:  # one thread makes room, the others wait: that is backpressure
                self._spill(self.memory_used + memory - self._memory_bytes)
        if self.used + size > self._max_bytes:
            with self._sweeping:
                self._evict(self.used + size - self._max_bytes)

    def _spill(self, excess: int) -> None:
        if excess <= 0:
            return
        wanted = excess + self._memory_bytes // _SLACK
        with self.lock:
            in_memory = [blob for blob in self._all() if blob.data]
        for blob in _oldest(in_memory, wanted):
            self._move_to_disk(blob)

    def _move_to_disk(self, blob: Blob) -> None:
        data = blob.data
        if data is None:
            return
        path, seen = blob.path, blob.seen
        if path is None:
            path = self.files.write(data)
            seen = state_of(path)
        with self.lock:
            is_present = blob.index.get(blob.hash) is blob
            if is_present and blob.data is not None:
                blob.path, blob.seen = path, seen
                blob.data = None
                self.memory_used -= blob.size
        if not is_present:
            remove(path)

    def _evict(self, excess: int) -> None:
        if excess <= 0:
            return
        with self.lock:
            free = [blob for blob in self._all() if not blob.pins and blob.size]
            victims = _oldest(free, excess + self._max_bytes // _SLACK)
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
        return itertools.chain.from_iterable(index.values() for index in self._homes)


def _oldest(blobs: list[Blob], wanted: int) -> list[Blob]:
    """The least recently used of ``blobs``, of ``wanted`` bytes together if there are so many."""
    blobs.sort(key=lambda blob: blob.touched)
    ends = itertools.accumulate(blob.size for blob in blobs)
    count = sum(1 for _ in itertools.takewhile(lambda end: end < wanted, ends))
    return blobs[: count + 1]


def _delete_files(blobs: Iterable[Blob]) -> None:
    for blob in blobs:
        if blob.path is not None:
            remove(blob.path)


class Pins:
    """Blobs that eviction leaves alone until `release`; a context manager does that at its end.

    Attributes:
        absent: the digests that were not there to be pinned.
    """

    def __init__(self, blob_index: BlobIndex, blobs: list[Blob], absent: list[Digest]) -> None:
        self._blob_index = blob_index
        self._blobs = blobs
        self.absent = absent

    def release(self) -> None:
        """Lets go; doing it again changes nothing."""
        with self._blob_index.lock:
            blobs, self._blobs = self._blobs, []
            for blob in blobs:
                blob.pins -= 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
