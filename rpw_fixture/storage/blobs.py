"""Blobs of one digest function: verified when they come in, whole when they go out.

Budget, order of use and files belong to blob_index.py; digest messages as clients send them to batches.py;
which functions a server has, and what survives a restart, to cas.py. All methods may be called from
any thread; none hashes or touches the disk under a lock.
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
    """Content by digest. The empty blob is always there (remote_execution.proto, Digest).

    Args:
        function: the digest function of everything in it.
        blob_index: shared with the stores of the other functions.
        spill_threshold: blobs of this many bytes and more go to disk at once.
        publish: makes a finished temporary file outlive the process, under the path it returns;
            with it every blob gets a file.
        on_corrupt: called with a blob and its file that no longer holds what the digest names.

    Attributes:
        file_threshold: blobs of this many bytes and more have a file from the start.
        blob_index: where its entries stand, beside those of other stores.
        by_hash: its entries.
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

    # --- what is there ---

    @property
    def evictions(self) -> int:
        """How many blobs ever disappeared. While it stays the same, what was there is there."""
        return self.blob_index.evictions

    def contains(self, digest: Digest) -> bool:
        """The blob is there; it counts as used now."""
        return self._find(digest) is not None

    def missing(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those that are not there, each once and in order; the others count as used."""
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
        """Nothing, when all are there.

        Raises:
            BlobMissingError: naming every one that is not.
        """
        absent = self.missing(digests)
        if absent:
            raise BlobMissingError([self.function.subject(digest) for digest in absent])

    def pin(self, digests: Iterable[Digest]) -> Pins:
        """Keeps those of ``digests`` that are there from eviction until the result is released."""
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

    # --- out ---

    def get(self, digest: Digest) -> bytes:
        """The whole content.

        Raises:
            BlobMissingError: when it is not there.
        """
        data = self.get_or_none(digest)
        if data is None:
            raise self._missing(digest)
        return data

    def get_or_none(self, digest: Digest) -> bytes | None:
        """The whole content, or None when it is not there."""
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
        """The content from ``offset`` on in pieces, at most ``limit`` bytes unless that is 0.

        Once it has begun it ends whole, even when the blob is evicted meanwhile.

        Raises:
            BlobMissingError: at the first piece, when the blob is not there.
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
        """Writes the blob to a new file with exactly the permission bits ``mode``.

        Args:
            path: where, relative to ``dir_fd`` when that is given.
            mtime_ns: its time of modification, nanoseconds since the epoch; None for now.

        Returns:
            The file's state.

        Raises:
            BlobMissingError: when it is not there.
            RequestError: RESOURCE_EXHAUSTED when the disk is full.
            OSError: FileExistsError when something has that name.
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

    # --- in ---

    def put(self, data: bytes, digest: Digest | None = None) -> Digest:
        """Keeps ``data``; its digest.

        Args:
            digest: what the client says it is, to be verified.

        Raises:
            RequestError: INVALID_ARGUMENT when ``data`` is not what ``digest`` names,
                RESOURCE_EXHAUSTED when it can't fit.
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
        """Keeps content known to be what ``digest`` names; takes over the file at ``path``.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when it can't fit; the file is removed then.
        """
        if self._find(digest) is not None:
            if path is not None:
                remove(path)
            return
        try:
            if path is not None and self._publish is not None:
                path = self._publish(digest, path)
            blob = Blob(digest.hash, digest.size, self.by_hash, data, path)
            blob.seen = None if path is None else state_of(path)
            self.blob_index.add(blob)
        except BaseException:
            if path is not None:
                remove(path)
            raise

    def adopt(self, digest: Digest, path: str) -> None:
        """Keeps a file that an earlier process published; its content is verified before it is read.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when it can't fit.
        """
        self.blob_index.add(Blob(digest.hash, digest.size, self.by_hash, None, path))

    def add_data(self, digest: Digest, data: bytes) -> None:
        """Keeps content known to be what ``digest`` names.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when it can't fit.
        """
        is_large = len(data) >= self.spill_threshold
        path = self.blob_index.files.write(data) if len(data) >= self.file_threshold else None
        self.add_verified(digest, data=None if is_large else data, path=path)

    def evict(self, predicate: Callable[[Digest], bool]) -> int:
        """Drops the blobs for which ``predicate`` holds, pinned ones too; how many.

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
        """A temporary file for content on its way in: its descriptor and path."""
        return self.blob_index.files.create()

    def touch(self, blobs: Iterable[Blob]) -> None:
        """Counts entries as used now (as `entries` returned them)."""
        now = self.blob_index.tick()
        for blob in blobs:
            blob.touched = now

    def entries(self, digests: Iterable[Digest]) -> list[Blob] | None:
        """The entries of all ``digests``, or None when one is not there."""
        found = [self._find(digest) for digest in digests]
        present = [blob for blob in found if blob is not None]
        return present if len(present) == len(found) else None

    def last_used(self, digest: Digest) -> int:
        """A number that grows with every use of the blob; 0 when it is not there. No use itself."""
        blob = self.by_hash.get(digest.hash)
        return blob.touched if blob is not None and blob.size == digest.size else 0

    def digests(self) -> list[Digest]:
        """Everything that is there, the empty blob included."""
        with self.blob_index.lock:
            return [Digest(blob.hash, blob.size) for blob in self.by_hash.values()]

    def __len__(self) -> int:
        return len(self.by_hash)

    # --- inside ---

    def _find(self, digest: Digest) -> Blob | None:
        blob = self.by_hash.get(digest.hash)
        if blob is None or blob.size != digest.size:
            return None
        blob.touched = self.blob_index.tick()
        return blob

    def _open(self, digest: Digest) -> bytes | int:
        """The content if it is in memory, else a descriptor of its file."""
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
        """Whether a file holds what its digest names; it is read only if it may have changed."""
        try:
            state = state_of(fd)
            if state != blob.seen:
                if hash_of(fd, self.function) != Digest(blob.hash, blob.size):
                    return False
                blob.seen = state
        except BaseException:
            os.close(fd)
            raise
        return True

    def _report_corrupt(self, blob: Blob, digest: Digest) -> None:
        path = blob.path or ""
        if self.blob_index.drop(lambda each: each is blob):
            _log.error(
                "%s does not hold the blob %s any more: the file was changed, or the disk is faulty; "
                "it was removed, and clients have to upload the blob again",
                path,
                digest,
            )
            self._on_corrupt(digest, path)

    def _lost(self, blob: Blob) -> None:
        """Drops an entry whose file someone else deleted."""
        self.blob_index.drop(lambda each: each is blob)

    def _add_empty(self) -> None:
        self.blob_index.add(Blob(self.empty.hash, 0, self.by_hash, b"", None))

    def _missing(self, digest: Digest) -> BlobMissingError:
        return BlobMissingError([self.function.subject(digest)])
