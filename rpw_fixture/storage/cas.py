"""The content-addressable storage of a server: one store per digest function over one index.

Here is also how the blobs of an earlier process are found again. Single blobs live in blobs.py.
"""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rpw_fixture.errors import RequestError
from rpw_fixture.storage.blob_index import BlobIndex
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.durable_folder import DurableFolder
from rpw_fixture.storage.files import hash_of, remove
from rpw_fixture.wire.digests import Digest, DigestFunction, DigestFunctions

__all__ = ["BlobStore", "Cas"]

_FILE_NAME = re.compile(r"([0-9a-f]+)-([0-9]{1,19})-[0-9]+-[0-9]+")


class Cas:
    """All blobs of a server. Different functions never mix, even where their hashes look alike.

    With ``durable``, every blob is a file that was written whole under another name before it got
    its own, so killing the server tears nothing. Only a machine that goes down can: blobs found
    after that are hashed again, and torn ones deleted. Whatever happened, a blob that is found is
    hashed before it is read for the first time, and again when its file has changed.

    Args:
        functions: one store for each of them.
        folder: for files; nobody else may use it.
        memory_bytes: blobs beyond this move from memory to files.
        spill_threshold: blobs of this many bytes and more go to files at once.
        max_bytes: the least recently used blobs beyond this are evicted.
        durable: keep blobs over restarts.
        on_corrupt: called with function, digest and path of a file that holds something else.

    Raises:
        EnvironmentLacksError: when another server keeps its blobs in ``folder``.
    """

    def __init__(
        self,
        functions: DigestFunctions,
        *,
        folder: Path,
        memory_bytes: int,
        spill_threshold: int,
        max_bytes: int,
        durable: bool,
        on_corrupt: Callable[
            [DigestFunction, Digest, str], None
        ] = lambda _function, _digest, _path: None,
    ) -> None:
        self.functions = functions
        self._durable = DurableFolder(folder) if durable else None
        self._blob_index = BlobIndex(folder, memory_bytes=memory_bytes, max_bytes=max_bytes)
        self._serial = itertools.count()
        self._stores = {
            function.name: BlobStore(
                function,
                self._blob_index,
                spill_threshold=spill_threshold,
                publish=partial(self._publish, self._durable, function) if self._durable else None,
                on_corrupt=partial(on_corrupt, function),
            )
            for function in functions.offered
        }
        if self._durable is not None:
            for store in self._stores.values():
                self._recover(self._durable, store)

    def store(self, function: DigestFunction) -> BlobStore:
        """The blobs of one function."""
        return self._stores[function.name]

    def contains(self, digest: Digest) -> bool:
        """Whether the blob is there under any function; it counts as used now."""
        return any(store.contains(digest) for store in self._stores.values())

    @property
    def evictions(self) -> int:
        """How many blobs ever disappeared. While it stays the same, what was there is there."""
        return self._blob_index.evictions

    @property
    def used(self) -> int:
        """Bytes of all blobs."""
        return self._blob_index.used

    @property
    def memory_used(self) -> int:
        """Bytes of the blobs in memory."""
        return self._blob_index.memory_used

    def evict(self, predicate: Callable[[DigestFunction, Digest], bool]) -> int:
        """Drops the blobs for which ``predicate`` holds, pinned ones too; how many.

        The empty blobs stay.
        """
        return sum(
            store.evict(partial(predicate, store.function)) for store in self._stores.values()
        )

    def clear(self) -> int:
        """Drops everything but the empty blobs; how many."""
        return self.evict(lambda _function, _digest: True)

    def close(self) -> None:
        """Lets another server use the folder. What is in it stays."""
        if self._durable is not None:
            self._durable.close()

    def _publish(
        self, durable: DurableFolder, function: DigestFunction, digest: Digest, path: str
    ) -> str:
        # A name of its own for each copy: then deleting an evicted file can't hit a newer one.
        name = f"{digest.hash}-{digest.size}-{os.getpid()}-{next(self._serial)}"
        return durable.publish(path, function.name.lower(), digest.hash[:2], name)

    def _recover(self, durable: DurableFolder, store: BlobStore) -> None:
        for entry in durable.published(store.function.name.lower()):
            digest = _digest_of(entry.name)
            is_whole = digest is not None and entry.stat().st_size == digest.size
            if digest is not None and is_whole and durable.is_suspect:
                is_whole = _is_whole(entry.path, digest, store.function)
            if digest is None or not is_whole or not _adopted(store, digest, entry.path):
                remove(entry.path)


def _digest_of(name: str) -> Digest | None:
    match = _FILE_NAME.fullmatch(name)
    return Digest(match[1], int(match[2])) if match else None


def _is_whole(path: str, digest: Digest, function: DigestFunction) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hash_of(fd, function) == digest
    finally:
        os.close(fd)


def _adopted(store: BlobStore, digest: Digest, path: str) -> bool:
    try:
        store.adopt(digest, path)
    except RequestError:  # larger than the whole budget, which was larger once
        return False
    return True
