"""Requests and blobs over a limit are refused, and the limit is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import grpc
import pytest

from rpw_fixture import Server
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import bytestream, methods
from rpw_fixture.wire.protos import remote_execution as reapi

REAPI = "build.bazel.remote.execution.v2"
CAS = methods(f"{REAPI}.ContentAddressableStorage")
BYTESTREAM = methods("google.bytestream.ByteStream")
UPLOAD = "uploads/5f0c2a1e-1111-4222-8333-444455556666/blobs"
MIB = 1 << 20
SMALL = 1000


@pytest.fixture
def server(make_rpw_server: Callable[..., Server]) -> Server:
    return make_rpw_server(max_message_bytes=MIB, max_blob_bytes=SMALL)


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    options = [("grpc.max_metadata_size", 1 << 20)]
    with grpc.insecure_channel(server.address, options) as channel:
        yield channel


def refused(call: Callable[[], object], code: grpc.StatusCode, words: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call()
    assert caught.value.code() is code, caught.value.details()
    assert words in caught.value.details()


def message(data: bytes) -> reapi.Digest:
    digest = SHA256.of(data)
    return reapi.Digest(hash=digest.hash, size_bytes=digest.size)


def test_a_message_over_the_limit_is_refused(channel: grpc.Channel) -> None:
    find = channel.unary_unary(CAS["FindMissingBlobs"].path, None, None)
    refused(
        lambda: find(bytes(MIB + 1), timeout=10),
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "larger than max",
    )
    assert find(b"", timeout=10) == b""


def test_headers_without_end_are_refused(channel: grpc.Channel) -> None:
    find = channel.unary_unary(CAS["FindMissingBlobs"].path, None, None)
    metadata = [("filler", "x" * 200_000)]
    with pytest.raises(grpc.RpcError) as caught:
        find(b"", timeout=10, metadata=metadata)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert find(b"", timeout=10) == b""


def test_a_write_over_the_limit_is_refused_before_its_bytes_come(channel: grpc.Channel) -> None:
    write = channel.stream_unary(
        BYTESTREAM["Write"].path, lambda request: request.SerializeToString(), None
    )
    name = f"{UPLOAD}/{SHA256.of(b'').hash}/{SMALL + 1}"
    first = bytestream.WriteRequest(resource_name=name, data=b"x")
    refused(lambda: write(iter([first]), timeout=10), grpc.StatusCode.INVALID_ARGUMENT, str(SMALL))


def test_a_write_that_brings_more_than_it_said_is_refused(channel: grpc.Channel) -> None:
    write = channel.stream_unary(
        BYTESTREAM["Write"].path, lambda request: request.SerializeToString(), None
    )
    data = bytes(SMALL)
    name = f"{UPLOAD}/{SHA256.of(data)}"
    requests = [
        bytestream.WriteRequest(resource_name=name, data=data),
        bytestream.WriteRequest(write_offset=SMALL, data=b"x"),
    ]
    with pytest.raises(grpc.RpcError) as caught:
        write(iter(requests), timeout=10)
    assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_a_blob_over_the_limit_is_refused_in_a_batch_and_no_other(channel: grpc.Channel) -> None:
    update = channel.unary_unary(
        CAS["BatchUpdateBlobs"].path,
        lambda request: request.SerializeToString(),
        reapi.BatchUpdateBlobsResponse.FromString,
    )
    blobs = (bytes(SMALL), bytes(SMALL + 1))
    request = reapi.BatchUpdateBlobsRequest(
        requests=[{"digest": message(blob), "data": blob} for blob in blobs]
    )
    first, second = update(request, timeout=10).responses
    assert first.status.code == 0
    assert second.status.code == grpc.StatusCode.INVALID_ARGUMENT.value[0]
    assert str(SMALL) in second.status.message


def test_a_splice_over_the_limit_is_refused(channel: grpc.Channel) -> None:
    splice = channel.unary_unary(
        CAS["SpliceBlob"].path, lambda request: request.SerializeToString(), None
    )
    digest = reapi.Digest(hash=SHA256.of(b"").hash, size_bytes=SMALL + 1)
    refused(
        lambda: splice(reapi.SpliceBlobRequest(blob_digest=digest), timeout=10),
        grpc.StatusCode.INVALID_ARGUMENT,
        str(SMALL),
    )


def test_the_limits_are_announced(server: Server) -> None:
    capabilities = server.client.capabilities().cache_capabilities
    assert capabilities.max_cas_blob_size_bytes == SMALL
