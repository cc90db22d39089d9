"""The chunks of large blobs: those that a client spliced the blob from, else found by FastCDC 2020.

Chunks are reported only while all of them are in the CAS.
"""

from __future__ import annotations

from collections.abc import Sequence

from rpw_fixture.errors import not_found
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.writer import BlobWriter
from rpw_fixture.support.memo import Memo
from rpw_fixture.wire.chunking import FastCdc
from rpw_fixture.wire.digests import Digest

#: Largest blob to split, bytes. Splitting handles about 10 MB a second in Python. A client reads a blob
#: without chunks as a whole, which is faster for larger ones.
MAX_SPLIT_BYTES = 64 << 20


class ChunkLayouts:
    """The chunks of blobs, for SplitBlob and SpliceBlob.

    Args:
        chunker: finds the chunks of blobs that no client spliced.
        limit: most blobs whose chunks are remembered; the others are split again.
    """

    def __init__(self, chunker: FastCdc | None = None, *, limit: int = 1000) -> None:
        self._chunker = chunker or FastCdc()
        self._known: Memo[tuple[str, Digest], tuple[Digest, ...]] = Memo(limit)

    def split(self, store: BlobStore, digest: Digest) -> tuple[Digest, ...]:
        """Return the chunks of a blob, in order; all are in the store.

        Raises:
            RequestError: NOT_FOUND when the blob is not stored, or too large to be split.
        """
        key = (store.function.name, digest)
        known = self._known.get(key)
        if known is not None and not store.missing(known):
            return known
        if not store.contains(digest):
            raise not_found(f"blob {digest} is not in the CAS")
        if digest.size > MAX_SPLIT_BYTES:
            raise not_found(
                f"blob {digest} is too large to be split (over {MAX_SPLIT_BYTES} bytes); read it as a whole"
            )
        chunks = tuple(store.put(chunk) for chunk in self._chunker.split(store.read(digest)))
        return self._known.replace(key, chunks)

    def splice(self, store: BlobStore, digest: Digest, chunks: Sequence[Digest]) -> None:
        """Store the blob that consists of ``chunks``, and remember them as its chunks.

        Raises:
            RequestError: INVALID_ARGUMENT when they do not match ``digest``, NOT_FOUND when a chunk
                is not stored.
        """
        with store.pin(chunks) as pins, BlobWriter(store, digest) as writer:
            if pins.absent:
                raise not_found(
                    f"{_counted(len(pins.absent))} not in the CAS, the first is {pins.absent[0]}"
                )
            for chunk in chunks:
                for piece in store.read(chunk):
                    writer.write(piece)
            writer.commit()
        self._known.replace((store.function.name, digest), tuple(chunks))


def _counted(number: int) -> str:
    return "1 chunk is" if number == 1 else f"{number} chunks are"
