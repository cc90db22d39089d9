"""Digests and digest functions over the wire: points 19 to 29."""

from __future__ import annotations

import hashlib

import grpc
import pytest

from rpw_fixture.wire.protos import bytestream as own_bs
from rpw_fixture.wire.protos import remote_execution as own

from .client import re, read_name, refused, sha256, upload_name

INVALID = grpc.StatusCode.INVALID_ARGUMENT
GOOD = sha256(b"content").hash


@pytest.mark.point(19)
@pytest.mark.parametrize(
    "hash_", [GOOD.upper(), GOOD[:-1], GOOD + "0", GOOD[:-1] + "g", "é" * 64, ""]
)
def test_a_malformed_hash_is_refused_everywhere(client, hash_):
    digest = re.Digest(hash=hash_, size_bytes=7)
    with refused(INVALID):
        client.missing(digest)
    batch = re.BatchReadBlobsRequest(digests=[sha256(b"x"), digest])
    _absent, malformed = client.cas.BatchReadBlobs(batch).responses
    assert malformed.status.code == INVALID.value[0]
    with refused(INVALID, "resource name"):
        client.read(f"blobs/{hash_}/7")


@pytest.mark.point(20)
@pytest.mark.point(87)
def test_a_blob_is_not_found_under_a_wrong_size(client):
    (digest,) = client.upload(b"content")
    wrong = re.Digest(hash=digest.hash, size_bytes=8)
    assert client.missing(digest, wrong) == [wrong]
    (response,) = client.cas.BatchReadBlobs(re.BatchReadBlobsRequest(digests=[wrong])).responses
    assert response.status.code == grpc.StatusCode.NOT_FOUND.value[0]
    assert response.data == b""
    with refused(grpc.StatusCode.NOT_FOUND, digest.hash):
        client.read(f"blobs/{digest.hash}/8")


@pytest.mark.point(21)
def test_a_negative_size_is_refused(client):
    with refused(INVALID, "negative"):
        client.missing(re.Digest(hash=GOOD, size_bytes=-1))
    with refused(INVALID):
        client.read(f"blobs/{GOOD}/-1")


def own_digest(data, name="sha256"):
    return own.Digest(hash=hashlib.new(name, data).hexdigest(), size_bytes=len(data))


@pytest.mark.point(22)
@pytest.mark.point(29)
@pytest.mark.parametrize("name", ["sha1", "sha256", "sha384", "sha512"])
def test_an_unnamed_function_is_found_by_the_length_of_the_hash(serve, name):
    served = serve(digest_functions=("SHA256", "SHA1", "SHA384", "SHA512"))
    cas = served.client.own("ContentAddressableStorage")
    digest = own_digest(b"content", name)
    entry = own.BatchUpdateBlobsRequest.Request(digest=digest, data=b"content")
    (response,) = cas.BatchUpdateBlobs(own.BatchUpdateBlobsRequest(requests=[entry])).responses
    assert response.status.code == 0
    assert served.client.read(f"blobs/{digest.hash}/7") == b"content"
    others = {"sha1", "sha256", "sha384", "sha512"} - {name}
    for other in others:
        request = own.FindMissingBlobsRequest(blob_digests=[own_digest(b"content", other)])
        assert len(cas.FindMissingBlobs(request).missing_blob_digests) == 1


@pytest.mark.point(23)
def test_a_function_that_is_not_offered_is_refused(serve):
    served = serve(digest_functions=("SHA256",))
    cas = served.client.own("ContentAddressableStorage")
    request = own.FindMissingBlobsRequest(
        blob_digests=[own_digest(b"x")], digest_function=own.DigestFunction.SHA512
    )
    with refused(INVALID, "SHA256"):
        cas.FindMissingBlobs(request)
    with refused(INVALID, "40 digits"):
        served.client.missing(re.Digest(hash=hashlib.sha1(b"x").hexdigest(), size_bytes=1))


@pytest.mark.point(23)
@pytest.mark.point(29)
@pytest.mark.point(54)
def test_blake3_is_named_in_requests_and_names_and_never_mixed_with_sha256(serve):
    blake3 = pytest.importorskip("blake3").blake3
    served = serve(digest_functions=("SHA256", "BLAKE3"))
    cas = served.client.own("ContentAddressableStorage")
    digest = own.Digest(hash=blake3(b"content").hexdigest(), size_bytes=7)
    entry = own.BatchUpdateBlobsRequest.Request(digest=digest, data=b"content")
    request = own.BatchUpdateBlobsRequest(
        requests=[entry], digest_function=own.DigestFunction.BLAKE3
    )
    (response,) = cas.BatchUpdateBlobs(request).responses
    assert response.status.code == 0
    assert served.client.read(f"blobs/blake3/{digest.hash}/7") == b"content"
    with refused(grpc.StatusCode.NOT_FOUND):
        served.client.read(f"blobs/{digest.hash}/7")


@pytest.mark.point(24)
def test_all_digests_of_a_request_use_one_function(serve):
    served = serve(digest_functions=("SHA256", "SHA1"))
    with refused(INVALID, "SHA256"):
        served.client.missing(
            sha256(b"a"), re.Digest(hash=hashlib.sha1(b"b").hexdigest(), size_bytes=1)
        )


@pytest.mark.point(25)
@pytest.mark.point(26)
@pytest.mark.parametrize("function", ["SHA256", "SHA1"])
def test_the_empty_blob_is_there_before_any_upload_and_after_clearing(serve, function):
    served = serve(digest_functions=("SHA256", "SHA1"))
    empty = own.Digest(hash=hashlib.new(function, b"").hexdigest())
    cas = served.client.own("ContentAddressableStorage")
    for _ in range(2):
        request = own.FindMissingBlobsRequest(blob_digests=[empty])
        assert not cas.FindMissingBlobs(request).missing_blob_digests
        assert served.client.read(f"blobs/{empty.hash}/0") == b""
        batch = own.BatchReadBlobsRequest(digests=[empty])
        (response,) = cas.BatchReadBlobs(batch).responses
        assert (response.status.code, response.data) == (0, b"")
        served.cas.clear()


@pytest.mark.point(25)
def test_the_empty_blob_can_be_written(client):
    assert client.write(upload_name(b""), b"") == 0
    client.upload(b"")


def test_a_request_that_is_no_message_is_refused(client):
    call = client.channel.unary_unary("/google.bytestream.ByteStream/QueryWriteStatus")
    with refused(INVALID, "QueryWriteStatusRequest"):
        call(b"\xff\xff\xff")
    stream = client.channel.stream_unary("/google.bytestream.ByteStream/Write")
    with refused(INVALID, "WriteRequest"):
        stream(iter([b"\xff" * 100]))


def test_a_request_of_the_own_client_reads_what_the_foreign_one_wrote(client):
    client.upload(b"content")
    read = client.own("google.bytestream.ByteStream").Read
    request = own_bs.ReadRequest(resource_name=read_name(b"content"))
    assert b"".join(response.data for response in read(request)) == b"content"
