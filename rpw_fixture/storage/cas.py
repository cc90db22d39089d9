"""The content-addressable storage of a server: one store per digest function over one index.

It also recovers the blobs of an earlier process. blobs.py reads and writes single blobs.
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
    """All blobs of a server. Each digest function has a store, even if hashes have the same length.

    With ``durable``, every blob is a file that was completely written before it got its name, so
    killing the server leaves no partial blob. Only a crash of the machine can: after one, all blobs
    are hashed and partial ones deleted. In any case a recovered blob is hashed before it is read for
    the first time, and again when its file has changed.

    Args:
        functions: the digest functions.
        folder: for files, used by this server only.
        memory_bytes: most bytes in memory; other blobs move to files.
        spill_threshold: blobs of this many bytes or more go to files at once.
        max_bytes: most bytes in total; beyond it the least recently used blobs are evicted.
        durable: whether to keep blobs across restarts.
        on_corrupt: called with function, digest and path of a file with the wrong content.

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
        """Return the store of a digest function."""
        return self._stores[function.name]

    def contains(self, digest: Digest) -> bool:
        """Return whether any store has the blob, and mark it as used now."""
        return any(store.contains(digest) for store in self._stores.values())

    @property
    def evictions(self) -> int:
        """Number of blobs removed so far. While it stays the same, no stored blob has gone."""
        return self._blob_index.evictions

    @property
    def used(self) -> int:
        """Size of all blobs, bytes."""
        return self._blob_index.used

    @property
    def memory_used(self) -> int:
        """Size of the blobs in memory, bytes."""
        return self._blob_index.memory_used

    def evict(self, predicate: Callable[[DigestFunction, Digest], bool]) -> int:
        """Remove the blobs for which ``predicate`` is true, pinned ones too; return how many.

        The empty blobs stay.
        """
        return sum(
            store.evict(partial(predicate, store.function)) for store in self._stores.values()
        )

    def clear(self) -> int:
        """Remove all blobs but the empty ones; return how many."""
        return self.evict(lambda _function, _digest: True)

    def close(self) -> None:
        """Unlock the folder, so that another server can use it. Its files stay."""
        if self._durable is not None:
            self._durable.close()

    def _publish(
        self, durable: DurableFolder, function: DigestFunction, digest: Digest, path: str
    ) -> str:
        # Each copy has a unique name, so deleting an evicted file can't delete a newer copy.
        name = f"{digest.hash}-{digest.size}-{os.getpid()}-{next(self._serial)}"
        return durable.publish(path, function.name.lower(), digest.hash[:2], name)

    def _recover(self, durable: DurableFolder, store: BlobStore) -> None:
        for entry in durable.published(store.function.name.lower()):
            digest = _digest_in(entry.name)
            is_whole = digest is not None and entry.stat().st_size == digest.size
            if digest is not None and is_whole and durable.is_suspect:
                is_whole = _is_whole(entry.path, digest, store.function)
            if digest is None or not is_whole or not _try_adopt(store, digest, entry.path):
                remove(entry.path)


def _digest_in(name: str) -> Digest | None:
    match = _FILE_NAME.fullmatch(name)
    return Digest(match[1], int(match[2])) if match else None


def _is_whole(path: str, digest: Digest, function: DigestFunction) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return hash_of(fd, function) == digest
    finally:
        os.close(fd)


def _try_adopt(store: BlobStore, digest: Digest, path: str) -> bool:
    try:
        store.adopt(digest, path)
    except RequestError:  # it exceeds the budget, which was larger in the earlier process
        return False
    return True
