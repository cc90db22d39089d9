"""ContentAddressableStorage: points 30 to 51."""

from __future__ import annotations

import os
import random

import grpc
import pytest

from rpw_fixture.wire.compression import COMPRESSORS
from rpw_fixture.wire.digests import SHA256, Digest
from rpw_fixture.wire.protos import remote_execution as own

from .client import re, read_name, refused, sha256

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND
ZSTD, DEFLATE, BROTLI = 1, 2, 3
BATCH_BYTES = 3 << 20


def own_digest(data):
    digest = sha256(data)
    return own.Digest(hash=digest.hash, size_bytes=digest.size_bytes)


def update(client, *entries):
    """Uploads (digest, data, compressor) in one batch; the responses."""
    request = own.BatchUpdateBlobsRequest(
        requests=[
            own.BatchUpdateBlobsRequest.Request(digest=digest, data=data, compressor=compressor)
            for digest, data, compressor in entries
        ]
    )
    return client.own("ContentAddressableStorage").BatchUpdateBlobs(request).responses


def read_batch(client, *digests, accept=()):
    request = own.BatchReadBlobsRequest(digests=digests, acceptable_compressors=accept)
    return client.own("ContentAddressableStorage").BatchReadBlobs(request).responses


# --- FindMissingBlobs ---


@pytest.mark.point(30)
def test_exactly_the_missing_digests_come_back_and_duplicates_do_no_harm(client):
    client.upload(b"here")
    here, gone = sha256(b"here"), sha256(b"gone")
    missing = client.missing(gone, here, gone, here)
    assert {(each.hash, each.size_bytes) for each in missing} == {(gone.hash, gone.size_bytes)}


@pytest.mark.point(31)
def test_asking_for_a_blob_extends_its_life(serve):
    served = serve(cas_max_bytes=1000)
    first, second = served.client.upload(b"a" * 400, b"b" * 400)
    assert served.client.missing(first) == []
    served.client.upload(b"c" * 400)
    assert served.client.missing(first, second) == [second]


@pytest.mark.point(32)
def test_ten_thousand_digests_are_one_call(client):
    digests = [sha256(b"%d" % number) for number in range(10_000)]
    client.upload(b"17")
    assert len(client.missing(*digests)) == 9_999


@pytest.mark.point(33)
def test_no_digests_are_never_missing(client):
    assert client.missing() == []


# --- BatchUpdateBlobs ---


@pytest.mark.point(34)
@pytest.mark.point(35)
def test_each_entry_of_a_batch_has_its_own_status(client):
    good, bad = own_digest(b"good"), own_digest(b"bad")
    responses = update(client, (good, b"good", 0), (bad, b"BAD", 0), (bad, b"longer", 0))
    assert [response.digest for response in responses] == [good, bad, bad]
    assert all(response.HasField("status") for response in responses)
    assert [response.status.code for response in responses] == [
        0,
        INVALID.value[0],
        INVALID.value[0],
    ]
    assert bad.hash in responses[1].status.message
    assert client.missing(sha256(b"good"), sha256(b"bad"), sha256(b"BAD")) == [
        sha256(b"bad"),
        sha256(b"BAD"),
    ]


@pytest.mark.point(36)
@pytest.mark.point(40)
def test_a_batch_over_the_limit_is_refused_as_a_whole(client):
    half = os.urandom(BATCH_BYTES // 2 + 1)
    other = half[::-1]
    with refused(INVALID, "batch"):
        client.upload(half, other)
    client.upload(half)
    client.upload(other)
    with refused(INVALID, "batch"):
        read_batch(client, own_digest(half), own_digest(other))


@pytest.mark.point(36)
def test_a_batch_at_the_limit_is_taken_and_given(client):
    data = os.urandom(BATCH_BYTES)
    (digest,) = client.upload(data)
    (response,) = client.cas.BatchReadBlobs(re.BatchReadBlobsRequest(digests=[digest])).responses
    assert response.data == data


@pytest.mark.point(36)
def test_compressed_blobs_may_together_be_larger_than_the_limit(client):
    zeros, ones = bytes(BATCH_BYTES), b"\1" * BATCH_BYTES
    entries = [
        (own_digest(data), COMPRESSORS["zstd"].compress(data), ZSTD) for data in (zeros, ones)
    ]
    assert [response.status.code for response in update(client, *entries)] == [0, 0]


@pytest.mark.point(37)
@pytest.mark.parametrize(("name", "number"), [("zstd", ZSTD), ("deflate", DEFLATE)])
def test_compressed_entries_are_kept_uncompressed(client, name, number):
    data = b"content " * 1000
    (response,) = update(client, (own_digest(data), COMPRESSORS[name].compress(data), number))
    assert response.status.code == 0
    assert client.read(read_name(data)) == data


@pytest.mark.point(37)
@pytest.mark.parametrize(
    ("data", "compressor"),
    [(b"no frame", ZSTD), (b"\x28\xb5\x2f\xfd", ZSTD), (b"content", BROTLI), (b"content", 99)],
)
def test_a_corrupt_frame_or_unknown_compressor_fails_that_entry(client, data, compressor):
    (response,) = update(client, (own_digest(b"content"), data, compressor))
    assert response.status.code == INVALID.value[0]
    assert client.missing(sha256(b"content"))


@pytest.mark.point(16)
@pytest.mark.point(73)
def test_a_small_frame_of_a_large_blob_is_not_inflated_beyond_its_digest(client):
    bomb = COMPRESSORS["zstd"].compress(bytes(64 << 20))
    (response,) = update(client, (own_digest(b"content"), bomb, ZSTD))
    assert response.status.code == INVALID.value[0]
    assert "more than 7 bytes" in response.status.message


# --- BatchReadBlobs ---


@pytest.mark.point(38)
@pytest.mark.point(41)
def test_a_batch_is_read_in_the_order_of_the_request_and_missing_ones_say_so(client):
    client.upload(b"one", b"two")
    digests = [own_digest(data) for data in (b"two", b"gone", b"one", b"two")]
    responses = read_batch(client, *digests)
    assert [response.digest for response in responses] == digests
    assert [response.data for response in responses] == [b"two", b"", b"one", b"two"]
    assert [response.status.code for response in responses] == [0, NOT_FOUND.value[0], 0, 0]


@pytest.mark.point(39)
@pytest.mark.parametrize(("name", "number"), [("zstd", ZSTD), ("deflate", DEFLATE)])
def test_blobs_are_compressed_only_if_accepted_and_only_where_that_shrinks_them(
    client, name, number
):
    text, noise = b"content " * 1000, os.urandom(1000)
    client.upload(text, noise)
    digests = own_digest(text), own_digest(noise)
    shrunk, same = read_batch(client, *digests, accept=[BROTLI, number])
    assert (shrunk.compressor, same.compressor) == (number, 0)
    assert COMPRESSORS[name].decompress(shrunk.data, len(text)) == text
    assert same.data == noise
    assert [each.compressor for each in read_batch(client, *digests)] == [0, 0]
    assert [each.compressor for each in read_batch(client, *digests, accept=[BROTLI])] == [0, 0]


@pytest.mark.point(40)
def test_no_response_is_longer_than_clients_receive_even_of_tiny_blobs(client):
    blobs = [b"%050d" % number for number in range(40_000)]
    for start in range(0, len(blobs), 10_000):
        client.upload(*blobs[start : start + 10_000])
    with refused(INVALID, "fewer"):
        read_batch(client, *map(own_digest, blobs))
    responses = read_batch(client, *map(own_digest, blobs[:20_000]))
    assert [response.data for response in responses] == blobs[:20_000]


# --- GetTree ---


def directory(client, *children, files=()):
    """Uploads a Directory; its digest."""
    message = re.Directory(
        directories=[
            re.DirectoryNode(name=f"d{n}", digest=each) for n, each in enumerate(children)
        ],
        files=[re.FileNode(name=name, digest=sha256(name.encode())) for name in files],
    )
    return client.upload(message.SerializeToString())[0]


def tree(client, root, **fields):
    """All responses of one GetTree."""
    return list(client.cas.GetTree(re.GetTreeRequest(root_digest=root, **fields)))


@pytest.mark.point(42)
@pytest.mark.point(46)
def test_a_tree_holds_every_directory_once_the_root_first(client):
    leaf = directory(client, files=["a"])
    middle = directory(client, leaf)
    root = directory(client, leaf, middle, leaf)
    (page,) = tree(client, root)
    encoded = [each.SerializeToString() for each in page.directories]
    assert [sha256(each) for each in encoded] == [root, leaf, middle]
    assert page.next_page_token == ""


@pytest.mark.point(43)
def test_a_tree_without_root_is_not_found_and_without_a_child_is_what_exists(client):
    with refused(NOT_FOUND, sha256(b"gone").hash):
        tree(client, sha256(b"gone"))
    leaf = directory(client)
    root = directory(client, sha256(b"gone"), leaf)
    (page,) = tree(client, root)
    assert len(page.directories) == 2


@pytest.mark.point(44)
def test_a_tree_comes_in_pages_that_a_token_resumes(client):
    leaves = [directory(client, files=[str(number)]) for number in range(6)]
    root = directory(client, *leaves)
    pages = tree(client, root, page_size=3)
    assert [len(page.directories) for page in pages] == [3, 3, 1]
    assert [bool(page.next_page_token) for page in pages] == [True, True, False]
    resumed = tree(client, root, page_size=3, page_token=pages[0].next_page_token)
    assert resumed == pages[1:]
    with refused(INVALID, "page_token"):
        tree(client, root, page_token="nonsense")
    with refused(INVALID, "page_size"):
        tree(client, root, page_size=-1)


@pytest.mark.point(26)
@pytest.mark.point(45)
def test_the_tree_of_the_empty_digest_is_one_empty_directory(client):
    (page,) = tree(client, sha256(b""))
    assert list(page.directories) == [re.Directory()]


@pytest.mark.point(116)
def test_a_tree_of_what_is_no_directory_is_refused(client):
    (digest,) = client.upload(b"\xff\xff no directory")
    with refused(INVALID, "not a Directory"):
        tree(client, digest)


# --- SplitBlob and SpliceBlob ---


def split(client, digest):
    request = own.SplitBlobRequest(blob_digest=digest)
    return client.own("ContentAddressableStorage").SplitBlob(request)


def splice(client, digest, chunks):
    request = own.SpliceBlobRequest(blob_digest=digest, chunk_digests=chunks)
    return client.own("ContentAddressableStorage").SpliceBlob(request)


@pytest.fixture
def content():
    return random.Random(1).randbytes(1_500_000)


@pytest.mark.point(47)
@pytest.mark.point(50)
def test_a_blob_is_split_into_chunks_that_are_there(client, content):
    client.write(f"uploads/u/{read_name(content)}", content)
    response = split(client, own_digest(content))
    assert response.chunking_function == own.ChunkingFunction.FAST_CDC_2020
    sizes = [digest.size_bytes for digest in response.chunk_digests]
    assert sum(sizes) == len(content)
    assert all(128 << 10 <= size <= 2 << 20 for size in sizes[:-1])
    joined = [
        client.read(f"blobs/{each.hash}/{each.size_bytes}") for each in response.chunk_digests
    ]
    assert b"".join(joined) == content


@pytest.mark.point(47)
def test_a_blob_that_is_not_there_is_not_split(client):
    with refused(NOT_FOUND, sha256(b"gone").hash):
        split(client, own_digest(b"gone"))


@pytest.mark.point(48)
def test_a_blob_shorter_than_a_chunk_is_its_own_only_chunk(client):
    client.upload(b"short")
    assert list(split(client, own_digest(b"short")).chunk_digests) == [own_digest(b"short")]
    assert list(split(client, own_digest(b"")).chunk_digests) == []


@pytest.mark.point(49)
@pytest.mark.point(51)
def test_chunks_are_spliced_into_a_blob_that_plain_clients_read(client):
    client.upload(b"one ", b"two")
    chunks = [own_digest(data) for data in (b"one ", b"two", b"one ")]
    response = splice(client, own_digest(b"one twoone "), chunks)
    assert response.blob_digest == own_digest(b"one twoone ")
    assert client.read(read_name(b"one twoone ")) == b"one twoone "
    assert list(split(client, own_digest(b"one twoone ")).chunk_digests) == chunks


@pytest.mark.point(49)
def test_chunks_that_make_up_another_blob_are_refused(client):
    client.upload(b"one ", b"two")
    chunks = [own_digest(b"one "), own_digest(b"two")]
    for wrong in (b"two one", b"longer than both"):
        with refused(INVALID, sha256(wrong).hash):
            splice(client, own_digest(wrong), chunks)
        assert client.missing(sha256(wrong))


@pytest.mark.point(49)
def test_a_missing_chunk_is_named(client):
    client.upload(b"one")
    with refused(NOT_FOUND, sha256(b"gone").hash):
        splice(client, own_digest(b"onegone"), [own_digest(b"one"), own_digest(b"gone")])


@pytest.mark.point(49)
def test_a_splice_names_its_blob(client):
    request = own.SpliceBlobRequest(chunk_digests=[own_digest(b"")])
    with refused(INVALID, "blob_digest"):
        client.own("ContentAddressableStorage").SpliceBlob(request)


@pytest.mark.point(50)
def test_a_splice_fails_for_just_the_chunks_that_are_reported_missing(served, content):
    client = served.client
    client.write(f"uploads/u/{read_name(content)}", content)
    chunks = list(split(client, own_digest(content)).chunk_digests)
    lost = chunks[1]
    served.cas.evict(lambda _function, digest: digest.hash in {lost.hash, sha256(content).hash})
    asked = [re.Digest(hash=each.hash, size_bytes=each.size_bytes) for each in chunks]
    assert client.missing(*asked) == [asked[1]]
    with refused(NOT_FOUND, lost.hash):
        splice(client, own_digest(content), chunks)
    store = served.cas.store(SHA256)
    assert not store.contains(Digest(sha256(content).hash, len(content)))
