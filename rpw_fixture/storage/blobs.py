"""Blobs of one digest function: verified when they are stored, complete when they are read.

Budgets, order of use and files are in blob_index.py, batches of digest messages in batches.py, the digest
functions of a server and recovery after a restart in cas.py. Everything is thread-safe; nothing hashes or
uses the disk under a lock.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator

from rpw_fixture.errors import BlobMissingError
from rpw_fixture.storage.blob_index import Blob, BlobIndex, Pins
from rpw_fixture.storage.files import (
    CHUNK_BYTES,
    CREATE,
    copy_all,
    finish_file,
    hash_of,
    read_from,
    remove,
    state_of,
    write_all,
)
from rpw_fixture.wire.digests import Digest, DigestFunction, mismatch

_READ = os.O_RDONLY | os.O_CLOEXEC
_log = logging.getLogger(__name__)


class BlobStore:
    """Content by digest. The empty blob is always stored (remote_execution.proto, Digest).

    Args:
        function: its digest function.
        blob_index: shared with the stores of other functions.
        spill_threshold: blobs of this many bytes or more go to disk at once.
        publish: makes a complete temporary file outlive the process, and returns its new path; with
            it every blob has a file.
        on_corrupt: called with the digest and the path of a file with the wrong content.

    Attributes:
        file_threshold: blobs of this many bytes or more have a file from the start.
        blob_index: has the entries of all stores.
        by_hash: the entries of this store.
    """

    def __init__(
        self,
        function: DigestFunction,
        blob_index: BlobIndex,
        *,
        spill_threshold: int,
        publish: Callable[[Digest, str], str] | None = None,
        on_corrupt: Callable[[Digest, str], None] = lambda _digest, _path: None,
    ) -> None:
        self.function = function
        self.empty = function.empty
        self.spill_threshold = spill_threshold
        self.file_threshold = 0 if publish is not None else spill_threshold
        self._publish = publish
        self._on_corrupt = on_corrupt
        self.blob_index = blob_index
        self.by_hash = blob_index.new_index()
        self._add_empty()

    # --- presence ---

    @property
    def evictions(self) -> int:
        """Number of blobs removed so far. While it stays the same, no stored blob has gone."""
        return self.blob_index.evictions

    def contains(self, digest: Digest) -> bool:
        """Return whether the blob is stored, and mark it as used now."""
        return self._find(digest) is not None

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        """Return the digests that are not stored, each once and in order; mark the others as used."""
        blobs, now = self.by_hash, self.blob_index.tick()
        absent: dict[Digest, None] = {}
        for digest in digests:
            blob = blobs.get(digest.hash)
            if blob is not None and blob.size == digest.size:
                blob.touched = now
            else:
                absent[digest] = None
        return list(absent)

    def require(self, digests: Iterable[Digest]) -> None:
        """Raise unless every digest is stored.

        Raises:
            BlobMissingError: names every digest that is not.
        """
        absent = self.missing(digests)
        if absent:
            raise BlobMissingError([self.function.subject(digest) for digest in absent])

    def pin(self, digests: Iterable[Digest]) -> Pins:
        """Protect the stored ones of ``digests`` from eviction, until the result is released."""
        with self.blob_index.lock:
            now = self.blob_index.tick()
            pinned, absent = [], []
            for digest in digests:
                blob = self.by_hash.get(digest.hash)
                if blob is None or blob.size != digest.size:
                    absent.append(digest)
                    continue
                blob.touched = now
                blob.pins += 1
                pinned.append(blob)
        return Pins(self.blob_index, pinned, absent)

    def shared(self, digest: Digest) -> Digest:
        """Return an equal digest, with the hash of the stored blob if there is one.

        What is kept for long should not keep another copy of the hash: it takes as much as the rest of
        an entry.
        """
        blob = self.by_hash.get(digest.hash)
        return digest if blob is None else Digest(blob.hash, digest.size)

    # --- reading ---

    def get(self, digest: Digest) -> bytes:
        """Return the content of a blob.

        Raises:
            BlobMissingError: when it is not stored.
        """
        data = self.get_or_none(digest)
        if data is None:
            raise self._missing(digest)
        return data

    def get_or_none(self, digest: Digest) -> bytes | None:
        """Return the content of a blob, or None when it is not stored."""
        blob = self._find(digest)
        if blob is None:
            return None
        if blob.data is not None:
            return blob.data
        try:
            data = b"".join(self.read(digest))
        except BlobMissingError:
            return None
        if blob.size < self.spill_threshold:
            self.blob_index.keep_in_memory(blob, data)
        return data

    def read(
        self, digest: Digest, offset: int = 0, limit: int = 0, chunk: int = CHUNK_BYTES
    ) -> Iterator[bytes]:
        """Yield the content of a blob from ``offset`` on, in pieces.

        After the first piece the rest follows, even when the blob is evicted meanwhile.

        Args:
            offset, limit: where to start, and most bytes to yield; a limit of 0 is none.
            chunk: most bytes in a piece.

        Raises:
            BlobMissingError: at the first piece, when the blob is not stored.
        """
        end = digest.size if not limit else min(digest.size, offset + limit)
        source = self._open(digest)
        if isinstance(source, bytes):
            if offset == 0 and end == len(source) <= chunk:
                if source:
                    yield source
                return
            for start in range(offset, end, chunk):
                yield source[start : min(start + chunk, end)]
            return
        try:
            yield from read_from(source, offset, end - offset, chunk)
        finally:
            os.close(source)

    def materialise(
        self,
        digest: Digest,
        path: str,
        *,
        mode: int = 0o444,
        mtime_ns: int | None = None,
        dir_fd: int | None = None,
    ) -> os.stat_result:
        """Write a blob to a new file with exactly the permission bits ``mode``.

        Args:
            path: of the file; relative to ``dir_fd``, if that is given.
            mtime_ns: its modification time, nanoseconds since the epoch; None for now.

        Returns:
            The file's state.

        Raises:
            BlobMissingError: when the blob is not stored.
            RequestError: RESOURCE_EXHAUSTED when the disk is full.
            OSError: FileExistsError when the path exists.
        """
        source = self._open(digest)
        try:
            target = os.open(path, CREATE, mode, dir_fd=dir_fd)
            try:
                if isinstance(source, bytes):
                    write_all(target, source)
                else:
                    copy_all(source, target, digest.size)
                return finish_file(target, mode, mtime_ns)
            finally:
                os.close(target)
        finally:
            if isinstance(source, int):
                os.close(source)

    # --- writing ---

    def put(self, data: bytes, digest: Digest | None = None) -> Digest:
        """Store ``data``; return its digest.

        Args:
            digest: the digest that a client claims, to be verified.

        Raises:
            RequestError: INVALID_ARGUMENT when ``data`` does not match ``digest``,
                RESOURCE_EXHAUSTED when it does not fit.
        """
        if digest is not None and digest.size != len(data):
            raise mismatch(digest, f"{len(data)} bytes")
        actual = self.function.of(data)
        if digest is not None and digest.hash != actual.hash:
            raise mismatch(digest, str(actual))
        if self._find(actual) is None:
            self.add_data(actual, data)
        return actual

    def add_verified(self, digest: Digest, *, data: bytes | None, path: str | None) -> None:
        """Store content that is known to match ``digest``.

        Args:
            data: the content, to be kept in memory, or None.
            path: a file with the content, which the store takes over, or None.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when it does not fit; the file is then removed.
        """
        if self._find(digest) is not None:
            if path is not None:
                remove(path)
            return
        try:
            if path is not None and self._publish is not None:
                path = self._publish(digest, path)
            blob = Blob(digest.hash, digest.size, self.by_hash, data, path)
            blob.verified = None if path is None else state_of(path)
            self.blob_index.add(blob)
        except BaseException:
            if path is not None:
                remove(path)
            raise

    def adopt(self, digest: Digest, path: str) -> None:
        """Add a file that an earlier process published; it is verified before it is first read.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when it does not fit.
        """
        self.blob_index.add(Blob(digest.hash, digest.size, self.by_hash, None, path))

    def add_data(self, digest: Digest, data: bytes) -> None:
        """Store ``data``, which is known to match ``digest``.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when it does not fit.
        """
        is_large = len(data) >= self.spill_threshold
        path = self.blob_index.files.write(data) if len(data) >= self.file_threshold else None
        self.add_verified(digest, data=None if is_large else data, path=path)

    def evict(self, predicate: Callable[[Digest], bool]) -> int:
        """Remove the blobs for which ``predicate`` is true, pinned ones too; return how many.

        The empty blob stays.
        """
        return self.blob_index.drop(
            lambda blob: (
                blob.index is self.by_hash
                and blob.size > 0
                and predicate(Digest(blob.hash, blob.size))
            )
        )

    def new_file(self) -> tuple[int, str]:
        """Open a temporary file for new content; return its descriptor and path."""
        return self.blob_index.files.create()

    def touch(self, blobs: Iterable[Blob]) -> None:
        """Mark entries, as `entries` returned them, as used now."""
        now = self.blob_index.tick()
        for blob in blobs:
            blob.touched = now

    def entries(self, digests: Iterable[Digest]) -> list[Blob] | None:
        """Return the entries of all ``digests``, or None when one is not stored."""
        found = [self._find(digest) for digest in digests]
        present = [blob for blob in found if blob is not None]
        return present if len(present) == len(found) else None

    def last_used(self, digest: Digest) -> int:
        """Return a number that grows with every use of a blob, 0 when it is not stored.

        The call does not count as a use.
        """
        blob = self.by_hash.get(digest.hash)
        return blob.touched if blob is not None and blob.size == digest.size else 0

    def digests(self) -> list[Digest]:
        """Return all digests, that of the empty blob included."""
        with self.blob_index.lock:
            return [Digest(blob.hash, blob.size) for blob in self.by_hash.values()]

    def __len__(self) -> int:
        return len(self.by_hash)

    # --- details ---

    def _find(self, digest: Digest) -> Blob | None:
        blob = self.by_hash.get(digest.hash)
        if blob is None or blob.size != digest.size:
            return None
        blob.touched = self.blob_index.tick()
        return blob

    def _open(self, digest: Digest) -> bytes | int:
        """Return the content if it is in memory, else a descriptor of its file."""
        while (blob := self._find(digest)) is not None:
            data = blob.data
            if data is not None:
                return data
            try:
                fd = os.open(blob.path or "", _READ)
            except FileNotFoundError:
                if self.by_hash.get(digest.hash) is blob and blob.data is None:
                    self._lost(blob)
                continue
            if self._is_intact(blob, fd):
                return fd
            os.close(fd)
            self._report_corrupt(blob, digest)
        raise self._missing(digest)

    def _is_intact(self, blob: Blob, fd: int) -> bool:
        """Return whether a file has the right content; it is read only if it may have changed."""
        try:
            state = state_of(fd)
            if state != blob.verified:
                if hash_of(fd, self.function) != Digest(blob.hash, blob.size):
                    return False
                blob.verified = state
        except BaseException:
            os.close(fd)
            raise
        return True

    def _report_corrupt(self, blob: Blob, digest: Digest) -> None:
        path = blob.path or ""
        if self.blob_index.drop(lambda each: each is blob):
            _log.error(
                "%s was changed, or the disk is faulty, so the file was removed; "
                "clients have to upload the blob again: %s",
                path,
                digest,
            )
            self._on_corrupt(digest, path)

    def _lost(self, blob: Blob) -> None:
        """Remove an entry whose file was deleted by something else."""
        self.blob_index.drop(lambda each: each is blob)

    def _add_empty(self) -> None:
        self.blob_index.add(Blob(self.empty.hash, 0, self.by_hash, b"", None))

    def _missing(self, digest: Digest) -> BlobMissingError:
        return BlobMissingError([self.function.subject(digest)])
