"""ByteStream.Write of compressed content: points 71 to 74."""

from __future__ import annotations

import os
import zlib

import grpc
import pytest

from rpw_fixture.wire.compression import COMPRESSORS

from .client import re, read_name, refused, sha256, slices, upload_name, writes

INVALID = grpc.StatusCode.INVALID_ARGUMENT
ZSTD = COMPRESSORS["zstd"]
DATA = b"some content"


@pytest.mark.point(71)
@pytest.mark.parametrize(
    ("setting", "expected"),
    [("wire", "wire"), ("uncompressed", len(DATA)), ("minus_one", -1), ("auto", "wire")],
)
def test_what_a_finished_compressed_upload_counts_is_a_setting(serve, setting, expected):
    client = serve(committed_size=setting).client
    compressed = ZSTD.compress(DATA)
    size = client.write(upload_name(DATA, kind="compressed-blobs/zstd"), compressed)
    assert size == (len(compressed) if expected == "wire" else expected)


@pytest.mark.point(71)
@pytest.mark.point(183)
@pytest.mark.parametrize("tool", ["siso", "remote-apis-sdks-go"])
def test_automatic_counting_gives_some_clients_the_uncompressed_size(serve, tool):
    client = serve(committed_size="auto").client
    metadata = re.RequestMetadata(tool_details=re.ToolDetails(tool_name=tool)).SerializeToString()
    key = "build.bazel.remote.execution.v2.requestmetadata-bin"
    for _first_and_again in range(2):
        messages = writes(upload_name(DATA, kind="compressed-blobs/zstd"), ZSTD.compress(DATA))
        response = client.bytestream.Write(messages, metadata=[(key, metadata)])
        assert response.committed_size == len(DATA)


@pytest.mark.point(183)
def test_request_metadata_that_is_none_is_ignored(serve):
    client = serve(committed_size="auto").client
    key = "build.bazel.remote.execution.v2.requestmetadata-bin"
    messages = writes(upload_name(DATA, kind="compressed-blobs/zstd"), ZSTD.compress(DATA))
    response = client.bytestream.Write(messages, metadata=[(key, b"\xff\xff")])
    assert response.committed_size == len(ZSTD.compress(DATA))


def _stream(data):
    encoder = zlib.compressobj(wbits=-15)
    return encoder.compress(data) + encoder.flush()


@pytest.mark.point(73)
@pytest.mark.parametrize("size", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("kind", "encode"),
    [
        ("zstd", lambda data: ZSTD.compress(data[:1000]) + ZSTD.compress(data[1000:])),
        ("zstd", lambda data: b"".join(ZSTD.compress_pieces([data[:1000], data[1000:]]))),
        ("deflate", _stream),
    ],
    ids=["frames", "no-content-size", "deflate"],
)
def test_compressed_content_arrives_in_any_slices_and_frames(client, kind, encode, size):
    data = os.urandom(500) * 6
    encoded = encode(data)
    name = upload_name(data, kind=f"compressed-blobs/{kind}")
    assert client.write(name, *slices(encoded, size)) == len(encoded)
    assert client.read(read_name(data)) == data


@pytest.mark.point(73)
def test_a_bomb_is_refused_once_it_exceeds_its_digest(served):
    bomb = ZSTD.compress(bytes(256 << 20))
    with refused(INVALID, sha256(DATA).hash):
        served.client.write(upload_name(DATA, kind="compressed-blobs/zstd"), bomb)
    assert served.cas.used == 0


@pytest.mark.point(73)
@pytest.mark.parametrize("kind", ["zstd", "deflate"])
@pytest.mark.parametrize(
    "spoil",
    [lambda data: data[:-1], lambda data: data + b"\0\xff", lambda _data: b"\xff" * 20],
    ids=["truncated", "trailing", "garbage"],
)
def test_corrupt_compressed_content_is_refused(client, kind, spoil):
    encoded = spoil(COMPRESSORS[kind].compress(DATA * 10))
    with refused(INVALID):
        client.write(upload_name(DATA * 10, kind=f"compressed-blobs/{kind}"), encoded)
    assert client.missing(sha256(DATA * 10))


@pytest.mark.point(74)
def test_a_compressed_upload_starts_at_0_and_counts_compressed_bytes(client):
    encoded = ZSTD.compress(DATA)
    kind = "compressed-blobs/zstd"
    with refused(INVALID, "write_offset"):
        client.write(upload_name(DATA, kind=kind), encoded, offset=5)
    with refused(INVALID, "finish_write"):
        client.write(upload_name(DATA, kind=kind), encoded, finish=False)
    assert client.write(upload_name(DATA, kind=kind), *slices(encoded, 5)) == len(encoded)
