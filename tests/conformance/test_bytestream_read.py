"""ByteStream.Read: points 79 to 90."""

from __future__ import annotations

import os

import grpc
import pytest

from rpw_fixture.wire.compression import COMPRESSORS

from .client import bs, read_name, refused, sha256, upload_name

INVALID = grpc.StatusCode.INVALID_ARGUMENT
OUT_OF_RANGE = grpc.StatusCode.OUT_OF_RANGE
NOT_FOUND = grpc.StatusCode.NOT_FOUND
DATA = b"some content"


def read_pieces(client, name):
    responses = client.bytestream.Read(bs.ReadRequest(resource_name=name))
    return [response.data for response in responses]


@pytest.fixture
def large(client):
    """A blob that is kept in a file."""
    data = os.urandom(3_500_000)
    client.write(upload_name(data), data)
    return data


@pytest.mark.point(79)
@pytest.mark.parametrize("instance", ["", "main/", "projects/p/instances/i/"])
@pytest.mark.parametrize("segment", ["", "sha256/"])
def test_a_blob_is_read_under_any_instance(client, instance, segment):
    client.upload(DATA)
    digest = f"{segment}{sha256(DATA).hash}/{len(DATA)}"
    assert client.read(f"{instance}blobs/{digest}") == DATA
    compressed = client.read(f"{instance}compressed-blobs/zstd/{digest}")
    assert COMPRESSORS["zstd"].decompress(compressed, len(DATA)) == DATA


@pytest.mark.point(80)
@pytest.mark.parametrize("kind", ["blobs", "compressed-blobs/zstd"])
def test_a_blob_that_is_not_there_is_not_found(client, kind):
    with refused(NOT_FOUND, sha256(DATA).hash):
        client.read(read_name(DATA, kind=kind))


@pytest.mark.point(81)
def test_offsets_outside_of_the_blob_are_out_of_range_and_its_end_is_not(client):
    client.upload(DATA)
    for offset in (-1, len(DATA) + 1):
        with refused(OUT_OF_RANGE, f"read_offset {offset}"):
            client.read(read_name(DATA), offset=offset)
    assert client.read(read_name(DATA), offset=len(DATA)) == b""


@pytest.mark.point(82)
@pytest.mark.parametrize("offset", [0, 1, 11])
@pytest.mark.parametrize("limit", [0, 1, 5, 12, 1000])
def test_a_limit_counts_from_the_offset_and_0_is_none(client, offset, limit):
    client.upload(DATA)
    expected = DATA[offset:][: limit or None]
    assert client.read(read_name(DATA), offset=offset, limit=limit) == expected


@pytest.mark.point(82)
@pytest.mark.parametrize(
    ("offset", "limit"), [(0, 1), (1 << 20, 0), ((1 << 20) - 1, 2), (17, 2_000_000), (3_499_999, 0)]
)
def test_offset_and_limit_hold_for_blobs_in_files_too(client, large, offset, limit):
    expected = large[offset:][: limit or None]
    assert client.read(read_name(large), offset=offset, limit=limit) == expected


@pytest.mark.point(82)
@pytest.mark.point(83)
def test_a_negative_limit_and_any_limit_on_a_compressed_read_are_refused(client):
    client.upload(DATA)
    with refused(INVALID, "read_limit"):
        client.read(read_name(DATA), limit=-1)
    with refused(INVALID, "read_limit"):
        client.read(read_name(DATA, kind="compressed-blobs/zstd"), limit=5)


@pytest.mark.point(84)
@pytest.mark.parametrize("name", ["zstd", "deflate"])
@pytest.mark.parametrize("offset", [0, 5, 3_499_999, 3_500_000])
def test_a_compressed_read_starts_at_an_uncompressed_offset(client, large, name, offset):
    compressed = client.read(read_name(large, kind=f"compressed-blobs/{name}"), offset=offset)
    rest = large[offset:]
    assert COMPRESSORS[name].decompress(compressed, len(rest)) == rest


@pytest.mark.point(85)
def test_a_broken_download_is_resumed_where_it_ended(client, large):
    call = client.bytestream.Read(bs.ReadRequest(resource_name=read_name(large)))
    begun = next(call).data
    call.cancel()
    assert begun + client.read(read_name(large), offset=len(begun)) == large


@pytest.mark.point(86)
@pytest.mark.parametrize("kind", ["blobs", "compressed-blobs/zstd"])
def test_messages_are_large_but_no_larger_than_clients_take(client, large, kind):
    sizes = [len(piece) for piece in read_pieces(client, read_name(large, kind=kind))]
    assert max(sizes) <= 2 << 20
    assert len(sizes) <= 8


@pytest.mark.point(88)
@pytest.mark.parametrize("uploaded", ["blobs", "compressed-blobs/zstd", "compressed-blobs/deflate"])
def test_a_blob_is_read_in_every_form_however_it_came(client, uploaded):
    encoded = DATA
    if uploaded != "blobs":
        encoded = COMPRESSORS[uploaded.rpartition("/")[2]].compress(DATA)
    client.write(upload_name(DATA, kind=uploaded), encoded)
    assert client.read(read_name(DATA)) == DATA
    for name, compressor in COMPRESSORS.items():
        compressed = client.read(read_name(DATA, kind=f"compressed-blobs/{name}"))
        assert compressor.decompress(compressed, len(DATA)) == DATA


@pytest.mark.point(89)
@pytest.mark.parametrize("name", ["zstd", "deflate"])
def test_the_empty_blob_is_no_message_plain_and_an_empty_frame_compressed(client, name):
    assert client.read(read_name(b"")) == b""
    compressed = client.read(read_name(b"", kind=f"compressed-blobs/{name}"))
    assert compressed
    assert COMPRESSORS[name].decompress(compressed, 0) == b""


@pytest.mark.point(90)
@pytest.mark.parametrize(
    "name",
    [
        "",
        "blobs",
        "blobs/{hash}",
        "blobs/{hash}/12/extra",
        "blobs/{hash}/12/",
        "compressed-blobs/ZSTD/{hash}/12",
        "compressed-blobs/brotli/{hash}/12",
        "compressed-blobs/{hash}/12",
        "uploads/u/blobs/{hash}/12",
        "actions/blobs/{hash}/12",
        "{hash}/12",
    ],
)
def test_a_malformed_name_is_refused(client, name):
    client.upload(DATA)
    with refused(INVALID):
        client.read(name.format(hash=sha256(DATA).hash))
