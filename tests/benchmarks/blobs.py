"""Blobs and the messages that carry them, encoded before the clock starts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

from rpw_fixture.wire.digests import SHA256, Digest, message_of
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.protos import remote_execution as reapi

#: Blobs of 4 KiB in one batch: less than 3 MiB, which every server known takes.
BATCH_BLOBS = 750


def random_blobs(count: int, size: int) -> dict[Digest, bytes]:
    """Blobs that no server has seen."""
    made = (os.urandom(size) for _ in range(count))
    return {SHA256.of(data): data for data in made}


def update_requests(blobs: dict[Digest, bytes]) -> list[bytes]:
    """BatchUpdateBlobs requests for all of them."""
    requests = []
    for batch in _batches(list(blobs)):
        request = reapi.BatchUpdateBlobsRequest()
        for digest in batch:
            request.requests.add(digest=message_of(digest), data=blobs[digest])
        requests.append(request.SerializeToString())
    return requests


def read_requests(digests: Sequence[Digest]) -> list[bytes]:
    """BatchReadBlobs requests for all of them."""
    return [
        reapi.BatchReadBlobsRequest(digests=map(message_of, batch)).SerializeToString()
        for batch in _batches(digests)
    ]


def write_requests(digest: Digest, data: bytes, *, upload: str, size: int) -> list[bytes]:
    """The messages of one ByteStream.Write.

    Args:
        upload: the UUID in the resource name.
        size: of the data in each message.
    """
    name = f"uploads/{upload}/blobs/{digest.hash}/{digest.size}"
    return [
        bytestream.WriteRequest(
            resource_name="" if start else name,
            write_offset=start,
            data=data[start : start + size],
            finish_write=start + size >= len(data),
        ).SerializeToString()
        for start in range(0, len(data), size)
    ]


def read_request(digest: Digest) -> bytes:
    """A ByteStream.Read of the whole blob."""
    name = f"blobs/{digest.hash}/{digest.size}"
    return bytestream.ReadRequest(resource_name=name).SerializeToString()


def _batches(digests: Sequence[Digest]) -> Iterator[Sequence[Digest]]:
    for start in range(0, len(digests), BATCH_BLOBS):
        yield digests[start : start + BATCH_BLOBS]
