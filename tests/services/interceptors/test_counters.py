"""Counters, as assertions of other projects read them."""

from __future__ import annotations

import threading

import grpc
import pytest

from rpw_fixture import ConfigError, Server
from rpw_fixture.errors import Code
from rpw_fixture.services.interceptors.counters import DigestCount, MethodCount
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.faults.bare_calls import bare, failing, shell, writes

METADATA = "build.bazel.remote.execution.v2.requestmetadata-bin"


def test_calls_are_counted_by_rpc_and_by_how_they_failed(rpw_server: Server) -> None:
    with bare(rpw_server) as calls:
        calls.missing()
        calls.missing()
        with failing(Code.NOT_FOUND):
            calls.read(SHA256.of(b"absent"))
    counters = rpw_server.counters
    assert counters.calls == {"FindMissingBlobs": 2, "Read": 1}
    assert counters.methods["Read"].failures == {"NOT_FOUND": 1}
    assert counters.methods["Read"].open == 0
    rpw_server.reset()
    assert counters.calls == {}


def test_health_checks_are_not_counted(rpw_server: Server) -> None:
    with grpc.insecure_channel(rpw_server.address) as channel:
        channel.unary_unary("/grpc.health.v1.Health/Check", None, None)(b"", timeout=10)
    assert rpw_server.counters.calls == {}


def test_bytes_are_counted_in_and_out(rpw_server: Server) -> None:
    data = b"x" * (3 << 20)
    with bare(rpw_server) as calls:
        calls.write(data)
        calls.read(SHA256.of(data))
        request = reapi.FindMissingBlobsRequest(blob_digests=[message_of(SHA256.of(b"absent"))])
        calls.call("FindMissingBlobs", request)
    methods = rpw_server.counters.methods
    assert methods["Write"].bytes_in == len(data)
    assert len(data) < methods["Read"].bytes_out < len(data) + 100
    assert methods["FindMissingBlobs"].bytes_in == request.ByteSize()
    assert methods["FindMissingBlobs"].bytes_out == request.ByteSize()


def test_an_action_is_counted_for_its_invocation_and_target(rpw_server: Server) -> None:
    rpw_server.run(shell(target="//some:target"))
    counters = rpw_server.counters
    assert counters.targets["//some:target"]["Execute"] == 1
    assert counters.invocations[rpw_server.client.invocation]["Execute"] == 1


def test_the_highest_concurrency_is_kept(rpw_server: Server) -> None:
    rpw_server.faults.delay("GetCapabilities", 3600)
    counters = rpw_server.counters
    with grpc.insecure_channel(rpw_server.address) as channel:
        capabilities = channel.unary_unary(
            "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities", None, None
        )
        futures = [capabilities.future(b"", timeout=3000) for _ in range(5)]
        pause = threading.Event()
        while counters.highest_concurrency < 5:
            pause.wait(0.001)
        assert counters.methods["GetCapabilities"].open == 5
        for future in futures:
            future.cancel()
        while counters.methods["GetCapabilities"].open:
            pause.wait(0.001)
    assert counters.methods["GetCapabilities"].highest_concurrency == 5


@pytest.mark.rpw(count_digests=True)
def test_each_blob_is_counted_when_that_was_asked_for(rpw_server: Server) -> None:
    counters = rpw_server.counters
    with bare(rpw_server) as calls:
        digest = calls.upload(b"once")
        assert counters.duplicate_uploads == 0
        calls.upload(b"once")
        calls.write(b"once")
        calls.read(digest)
        calls.call("BatchReadBlobs", reapi.BatchReadBlobsRequest(digests=[message_of(digest)]))
        for _ in range(3):
            calls.missing(digest)
        other = calls.upload(b"another")
    assert counters.digests == {
        str(digest): DigestCount(reads=2, writes=3, find_missing=3, duplicate_uploads=2),
        str(other): DigestCount(writes=1),
    }
    assert counters.duplicate_uploads == 2
    counters.reset()
    assert counters.digests == {}


@pytest.mark.rpw(count_digests=True)
def test_names_that_are_none_are_refused_as_ever(rpw_server: Server) -> None:
    with bare(rpw_server) as calls:
        bad = reapi.Digest(hash="no hash", size_bytes=-1)
        with failing(Code.INVALID_ARGUMENT):
            calls.call("FindMissingBlobs", reapi.FindMissingBlobsRequest(blob_digests=[bad]))
        with failing(Code.INVALID_ARGUMENT):
            calls.call("Read", bytestream.ReadRequest(resource_name="rubbish"))
        with failing(Code.INVALID_ARGUMENT):
            calls.call("Write", [])


def test_blobs_are_not_counted_unasked_and_the_error_says_how_to_ask(rpw_server: Server) -> None:
    for question in ("digests", "duplicate_uploads"):
        with pytest.raises(ConfigError, match="count_digests=True"):
            getattr(rpw_server.counters, question)


def test_a_snapshot_does_not_change(rpw_server: Server) -> None:
    with bare(rpw_server) as calls:
        calls.missing()
        before = rpw_server.counters.methods
        calls.missing()
    assert before["FindMissingBlobs"].calls == 1
    assert before["Execute"] == MethodCount()


def test_the_oldest_invocations_are_forgotten_beyond_a_limit(rpw_server: Server) -> None:
    most = 1_000
    with bare(rpw_server) as calls:
        for number in range(most + 3):
            metadata = reapi.RequestMetadata(tool_invocation_id=str(number))
            request = reapi.FindMissingBlobsRequest()
            header = (METADATA, metadata.SerializeToString())
            calls.call("FindMissingBlobs", request, metadata=[header])
    assert list(rpw_server.counters.invocations) == [str(each) for each in range(3, most + 3)]


# --- bytes of streams ---


def test_the_bytes_of_a_stream_are_those_of_all_its_messages(rpw_server: Server) -> None:
    data = bytes(range(256)) * 4000
    with bare(rpw_server) as calls:
        calls.write(data, piece=10_000)
        begin = rpw_server.counters.methods["Read"].bytes_out
        request = bytestream.ReadRequest(
            resource_name=f"blobs/{SHA256.of(data)}", read_offset=1000, read_limit=500_000
        )
        responses = calls.call("Read", request)
        digest = rpw_server.run(shell()).digest
        before = rpw_server.counters.methods["Execute"].bytes_out
        operations = calls.execute(digest, skip_cache_lookup=True)
    methods = rpw_server.counters.methods
    assert methods["Write"].bytes_in == len(data)
    assert (
        methods["Write"].bytes_out == bytestream.WriteResponse(committed_size=len(data)).ByteSize()
    )
    assert methods["Read"].bytes_in == request.ByteSize()
    assert methods["Read"].bytes_out - begin == sum(each.ByteSize() for each in responses)
    assert methods["Execute"].bytes_out - before == sum(each.ByteSize() for each in operations)
    assert len(operations) > 1


def test_the_bytes_of_a_stream_that_breaks_off_are_those_that_came(rpw_server: Server) -> None:
    data = b"x" * 30_000
    with bare(rpw_server) as calls:
        messages = list(writes(data, 10_000))
        messages[2].data = b"y" * 10_000
        with failing(Code.INVALID_ARGUMENT):
            calls.call("Write", messages)
        with failing(Code.INVALID_ARGUMENT):  # the first message is refused
            messages[0].write_offset = 5
            calls.call("Write", messages[:1])
    count = rpw_server.counters.methods["Write"]
    assert (count.calls, count.open, count.bytes_in, count.bytes_out) == (2, 0, 40_000, 0)
    assert count.failures == {"INVALID_ARGUMENT": 2}
