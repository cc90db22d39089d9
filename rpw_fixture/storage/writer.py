"""Writes one blob piece by piece: hashes it on the way, in memory if it is small, else in a file.

A writer belongs to one thread at a time. Others see the blob after `commit`.
"""

from __future__ import annotations

import os
from typing import Self

from rpw_fixture.errors import RpwError, invalid_argument
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.files import remove, write_all
from rpw_fixture.wire.digests import Digest


class BlobWriter:
    """Writes the blob ``digest`` to ``store``.

    As a context manager it aborts at the end, unless the blob was committed.

    Attributes:
        digest: of the blob.
        written: bytes so far.
    """

    def __init__(self, store: BlobStore, digest: Digest) -> None:
        self.digest = digest
        self.written = 0
        self._store = store
        self._hasher = store.function.new()
        self._pieces: list[bytes] = []
        self._fd = -1
        self._path: str | None = None
        self._is_open = True
        if digest.size >= store.spill_threshold:
            self._fd, self._path = store.new_file()

    def write(self, piece: bytes | memoryview) -> None:
        """Add the next bytes.

        Raises:
            RequestError: INVALID_ARGUMENT as soon as there are more bytes than ``digest`` has,
                RESOURCE_EXHAUSTED when the disk is full. The writer is then aborted.
        """
        if not self._is_open:
            raise RpwError("the blob was committed or aborted already; open a new writer")
        size = self.written + len(piece)
        if size > self.digest.size:
            self.abort()
            raise invalid_argument(
                f"digest {self.digest} does not match the content, which has {size} bytes or more"
            )
        self._hasher.update(piece)
        if self._path is None:
            self._pieces.append(bytes(piece))
        else:
            try:
                write_all(self._fd, piece)
            except BaseException:
                self.abort()
                raise
        self.written = size

    def commit(self) -> None:
        """Add the blob to the store.

        Raises:
            RequestError: INVALID_ARGUMENT when the content does not match ``digest``,
                RESOURCE_EXHAUSTED when it does not fit. Then nothing is kept.
        """
        actual = Digest(self._hasher.hexdigest(), self.written)
        if actual != self.digest:
            self.abort()
            raise invalid_argument(
                f"digest {self.digest} does not match the content, which is {actual}"
            )
        self._is_open = False
        if self._path is None:
            data = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
            self._pieces = []
            self._store.add_data(self.digest, data)
        else:
            self._close()
            path, self._path = self._path, None
            self._store.add_verified(self.digest, data=None, path=path)

    def abort(self) -> None:
        """Discard the content; does nothing when called again or after a commit."""
        if not self._is_open:
            return
        self._is_open = False
        self._pieces = []
        self._close()
        if self._path is not None:
            remove(self._path)

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()
