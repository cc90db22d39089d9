"""How large blobs fall into chunks: remembered where a client said so, else found by FastCDC 2020.

A layout is only ever told while all its chunks are in the CAS.
"""

from __future__ import annotations

from collections.abc import Sequence

from rpw_fixture.errors import not_found
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.support.memo import Memo
from rpw_fixture.wire.chunking import FastCdc
from rpw_fixture.wire.digests import Digest

#: Cutting looks at every byte, about 10 MB a second in Python. Clients read a blob whole when it
#: has no chunks, which is faster then.
MOST_CUT_BYTES = 64 << 20


class ChunkLayouts:
    """The chunks of blobs, for SplitBlob and SpliceBlob.

    Args:
        limit: how many layouts are remembered; a forgotten one is found again by cutting.
    """

    def __init__(self, chunker: FastCdc | None = None, *, limit: int = 1000) -> None:
        self._chunker = chunker or FastCdc()
        self._known: Memo[tuple[str, Digest], tuple[Digest, ...]] = Memo(limit)

    def split(self, store: BlobStore, digest: Digest) -> tuple[Digest, ...]:
        """The chunks that make up the blob, in order; all are in the store.

        Raises:
            RequestError: NOT_FOUND when the blob is not there, or too large to be cut.
        """
        key = (store.function.name, digest)
        known = self._known.get(key)
        if known is not None and not store.missing(known):
            return known
        if not store.contains(digest):
            raise not_found(f"blob {digest} is not in the CAS")
        if digest.size > MOST_CUT_BYTES:
            raise not_found(f"blob {digest} has no chunks; it is too large to be cut here")
        chunks = tuple(store.put(chunk) for chunk in self._chunker.split(store.read(digest)))
        return self._known.replace(key, chunks)

    def splice(self, store: BlobStore, digest: Digest, chunks: Sequence[Digest]) -> None:
        """Keeps the blob that the chunks make up, and remembers that they do.

        Raises:
            RequestError: INVALID_ARGUMENT when they make up another one, NOT_FOUND when a chunk is
                not there.
        """
        with store.pin(chunks) as pins, BlobWriter(store, digest) as writer:
            if pins.absent:
                raise not_found(
                    f"{len(pins.absent)} chunk(s) not in the CAS, the first is {pins.absent[0]}"
                )
            for chunk in chunks:
                for piece in store.read(chunk):
                    writer.write(piece)
            writer.commit()
        self._known.replace((store.function.name, digest), tuple(chunks))
