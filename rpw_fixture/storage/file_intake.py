"""Stores files that an action made."""

from __future__ import annotations

import os

from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.files import CHUNK_BYTES, remove, write_all
from rpw_fixture.wire.digests import Digest

#: Opens such a file. A process may replace it by a symlink or a fifo meanwhile, so opening it must not
#: follow the one or wait for the other.
OPEN_OUTPUT = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def put_file(store: BlobStore, source: str | int, size: int | None = None) -> Digest:
    """Store a copy of a file, which is read once; return its digest.

    Args:
        source: its path (not a symlink), or a descriptor open for reading, at the start.
        size: its expected size, bytes, if known.

    Raises:
        OSError: when it can't be read.
        RequestError: RESOURCE_EXHAUSTED when it does not fit.
    """
    fd = os.open(source, OPEN_OUTPUT) if isinstance(source, str) else source
    try:
        most = store.spill_threshold if size is None else min(size + 1, store.spill_threshold)
        first = os.read(fd, most)
        if len(first) < most and len(first) == size:
            return store.put(first)
        if len(first) < store.spill_threshold:
            # A short read of a regular file means its end; another read confirms that.
            rest = os.read(fd, CHUNK_BYTES)
            if not rest:
                return store.put(first)
            first += rest
        return _copy_in(store, fd, first)
    finally:
        if isinstance(source, str):
            os.close(fd)


def _copy_in(store: BlobStore, source: int, first: bytes) -> Digest:
    hasher, size = store.function.new(), 0
    target, path = store.new_file()
    try:
        piece = first
        while piece:
            hasher.update(piece)
            write_all(target, piece)
            size += len(piece)
            piece = os.read(source, CHUNK_BYTES)
    except BaseException:
        remove(path)
        raise
    finally:
        os.close(target)
    digest = Digest(hasher.hexdigest(), size)
    store.add_verified(digest, data=None, path=path)
    return digest
