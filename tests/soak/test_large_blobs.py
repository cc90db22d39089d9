"""A blob far larger than the memory it may take goes in and out."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest

from rpw_fixture.wire.compression import compressor_named
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import bytestream

from .serving import LONG, MIB, ServeProcess, digest_of, pieces

SIZE = (1024 if LONG else 160) * MIB
MOST_GROWTH = 64 * MIB
SERVICE = "/google.bytestream.ByteStream"

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="peaks are read from /proc")


def kind(compressor: str) -> str:
    return f"compressed-blobs/{compressor}" if compressor else "blobs"


def requests(
    digest: Digest, content: Iterator[bytes], compressor: str
) -> Iterator[bytestream.WriteRequest]:
    name = f"uploads/{uuid.uuid4()}/{kind(compressor)}/{digest}"
    offset = 0
    for piece in content:
        yield bytestream.WriteRequest(resource_name=name, write_offset=offset, data=piece)
        offset += len(piece)
    yield bytestream.WriteRequest(write_offset=offset, finish_write=True)


def there_and_back(channel: grpc.Channel, seed: int, size: int, compressor: str) -> None:
    """Writes a blob, reads it, and compares as it comes."""
    digest = digest_of(pieces(seed, size))
    write = channel.stream_unary(
        f"{SERVICE}/Write",
        lambda request: request.SerializeToString(),
        bytestream.WriteResponse.FromString,
    )
    read = channel.unary_stream(
        f"{SERVICE}/Read",
        lambda request: request.SerializeToString(),
        bytestream.ReadResponse.FromString,
    )
    content = pieces(seed, size)
    if compressor:
        content = compressor_named(compressor).compress_pieces(content)
    write(requests(digest, content, compressor), timeout=1200)
    request = bytestream.ReadRequest(resource_name=f"{kind(compressor)}/{digest}")
    received = (response.data for response in read(request, timeout=1200))
    if compressor:
        received = decompressed(received, compressor)
    assert digest_of(received) == digest


def decompressed(received: Iterator[bytes], compressor: str) -> Iterator[bytes]:
    decoder = compressor_named(compressor).decoder()
    for data in received:
        yield from decoder.feed(data)
    decoder.finish()


@pytest.mark.parametrize("compressor", ["", "zstd"], ids=["plain", "zstd"])
def test_a_large_blob_takes_little_memory_both_ways(tmp_path: Path, compressor: str) -> None:
    with (
        ServeProcess(tmp_path / "log") as server,
        grpc.insecure_channel(server.address) as channel,
    ):
        there_and_back(channel, 1, 4 * MIB, compressor)  # what is loaded once is no growth
        before = server.resident
        server.forget_highest_resident()
        there_and_back(channel, 2, SIZE, compressor)
        growth = server.highest_resident - before
    print(f"{SIZE // MIB} MiB {compressor}: grew by {growth / MIB:.1f} MiB")
    assert growth < MOST_GROWTH
