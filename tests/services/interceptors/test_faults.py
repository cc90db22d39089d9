"""Faults as clients meet them: statuses, broken streams, delays, lost blobs."""

from __future__ import annotations

import subprocess
import sys
import threading
from typing import Any
from unittest import SkipTest

import grpc
import pytest

from rpw_fixture import ConfigError, Server
from rpw_fixture.errors import Code
from rpw_fixture.faults.fault import Effect, Fault
from rpw_fixture.testing.cluster import Cluster
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.faults.bare_calls import bare, failing, shell

MIB = 1 << 20
BIG = bytes(range(256)) * (3 * MIB // 256)


def test_the_first_calls_fail_and_later_ones_do_not(rpw_server: Server) -> None:
    armed = rpw_server.faults.fail("FindMissingBlobs", "RESOURCE_EXHAUSTED", first=2)
    with bare(rpw_server) as calls:
        for _ in range(2):
            with failing(Code.RESOURCE_EXHAUSTED, "FindMissingBlobs:RESOURCE_EXHAUSTED:first=2"):
                calls.missing()
        assert calls.missing() == []
    assert armed.hits == 2
    assert rpw_server.counters.methods["FindMissingBlobs"].failures == {"RESOURCE_EXHAUSTED": 2}


def test_every_nth_call_fails(rpw_server: Server) -> None:
    rpw_server.faults.fail("FindMissingBlobs", every=3, message="out for lunch")
    outcomes = []
    with bare(rpw_server) as calls:
        for _ in range(7):
            try:
                calls.missing()
                outcomes.append("")
            except grpc.RpcError as error:
                outcomes.append(error.details())
    assert outcomes == ["", "", "out for lunch", "", "", "out for lunch", ""]


def test_a_star_stands_for_every_rpc_but_health(rpw_server: Server) -> None:
    rpw_server.faults.arm("*:ABORTED")
    with bare(rpw_server) as calls:
        for name, request in (
            ("GetCapabilities", reapi.GetCapabilitiesRequest()),
            ("Execute", reapi.ExecuteRequest()),
            ("Write", [bytestream.WriteRequest()]),
        ):
            with failing(Code.ABORTED):
                calls.call(name, request)
    with grpc.insecure_channel(rpw_server.address) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
        assert check(b"", timeout=10) == b"\x08\x01"


def test_a_read_breaks_after_a_message(rpw_server: Server) -> None:
    with bare(rpw_server) as calls:
        digest = SHA256.of(BIG)
        calls.write(BIG)
        rpw_server.faults.fail("ByteStream.Read", after=1, first=1)
        with grpc.insecure_channel(rpw_server.address) as channel:
            read = channel.unary_stream(
                "/google.bytestream.ByteStream/Read", None, bytestream.ReadResponse.FromString
            )
            name = f"blobs/{digest}"
            stream = read(bytestream.ReadRequest(resource_name=name).SerializeToString())
            assert 0 < len(next(stream).data) < len(BIG)
            with failing(Code.UNAVAILABLE):
                next(stream)
        assert calls.read(digest) == BIG


def test_a_short_read_fails_at_its_end(rpw_server: Server) -> None:
    with bare(rpw_server) as calls:
        digest = calls.upload(b"short")
        rpw_server.faults.fail("Read", after=9)
        with failing(Code.UNAVAILABLE):
            calls.read(digest)


def test_a_write_breaks_after_a_message_and_can_be_resumed(rpw_server: Server) -> None:
    rpw_server.faults.fail("Write", after=2, first=1)
    with bare(rpw_server) as calls:
        with failing(Code.UNAVAILABLE):
            calls.write(BIG)
        assert calls.missing(SHA256.of(BIG)) == [SHA256.of(BIG).hash]
        assert calls.write(BIG).committed_size == len(BIG)
        assert calls.read(SHA256.of(BIG)) == BIG


def test_a_half_closed_read_is_short_and_ok(rpw_server: Server) -> None:
    with bare(rpw_server) as calls:
        calls.write(BIG)
        rpw_server.faults.half_close("Read", first=1)
        assert len(calls.read(SHA256.of(BIG))) == MIB


def uploaded(server: Server, script: str = "echo hi > out", **others: Any) -> str:
    """The digest of an action whose inputs are on the server."""
    outcome = server.run(shell(script, **others))
    return outcome.digest


@pytest.mark.parametrize("skip", [False, True], ids=["cached", "executed"])
def test_a_half_closed_execution_ends_ok_and_is_not_done(rpw_server: Server, skip: bool) -> None:
    digest = uploaded(rpw_server)
    armed = rpw_server.faults.half_close("Execute", first=1)
    with bare(rpw_server) as calls:
        (operation,) = calls.execute(digest, skip_cache_lookup=skip)
        assert operation.name
        assert not operation.done
        metadata = reapi.ExecuteOperationMetadata()
        assert operation.metadata.Unpack(metadata)
        assert metadata.stage != reapi.ExecutionStage.COMPLETED
        (*_, last) = calls.call("WaitExecution", reapi.WaitExecutionRequest(name=operation.name))
        assert last.done
    assert armed.hits == 1


def test_a_broken_execution_never_says_that_it_is_done(rpw_server: Server) -> None:
    digest = uploaded(rpw_server)
    rpw_server.faults.fail("Execute", after=1)
    with grpc.insecure_channel(rpw_server.address) as channel:
        execute = channel.unary_stream(
            "/build.bazel.remote.execution.v2.Execution/Execute",
            lambda request: request.SerializeToString(),
            None,
        )
        hash_, size = digest.split("/")
        wanted = reapi.Digest(hash=hash_, size_bytes=int(size))
        stream = execute(reapi.ExecuteRequest(action_digest=wanted), timeout=30)
        assert next(stream)
        with failing(Code.UNAVAILABLE):
            next(stream)


@pytest.mark.parametrize(
    "spec",
    [
        "Execute:UNAVAILABLE:first=2",
        "Execute:UNAVAILABLE:first=2:after=1",
        "Execute:half-close:first=2",
        "*:delay=0.02",
    ],
)
def test_our_own_client_gets_over_it(rpw_server: Server, spec: str) -> None:
    armed = rpw_server.faults.arm(spec)
    outcome = rpw_server.run(shell())
    assert outcome.outputs == {"out": b"hi\n"}
    assert armed.hits


def test_a_delayed_call_waits_and_no_other_call_does(rpw_server: Server) -> None:
    rpw_server.faults.delay("GetCapabilities", 3600)
    with grpc.insecure_channel(rpw_server.address) as channel:
        capabilities = channel.unary_unary(
            "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities", None, None
        ).future(b"", timeout=3000)
        with bare(rpw_server) as calls:
            assert calls.missing() == []
        assert not capabilities.done()
        capabilities.cancel()  # which ends the waiting: no thread of it is left behind


def test_stopping_does_not_wait_for_a_delay() -> None:
    with Server() as server, grpc.insecure_channel(server.address) as channel:
        server.faults.delay("GetCapabilities", 3600)
        capabilities = channel.unary_unary(
            "/build.bazel.remote.execution.v2.Capabilities/GetCapabilities", None, None
        ).future(b"", timeout=3000)
        deadline = threading.Event()
        while not server.counters.calls["GetCapabilities"]:
            deadline.wait(0.001)  # until the call has come in
        server.stop(grace=0)
        with pytest.raises(grpc.RpcError):
            capabilities.result(timeout=10)


def test_a_blob_is_gone_after_its_first_read(rpw_server: Server) -> None:
    rpw_server.faults.evict_after("ByteStream.Read")
    with bare(rpw_server) as calls:
        digest, other = calls.upload(b"read once"), calls.upload(b"never read")
        assert calls.read(digest) == b"read once"
        with failing(Code.NOT_FOUND):
            calls.read(digest)
        assert calls.missing(digest, other) == [digest.hash]


def test_blobs_are_gone_right_after_they_were_found(rpw_server: Server) -> None:
    rpw_server.faults.evict_after("FindMissingBlobs", first=1)
    with bare(rpw_server) as calls:
        digest = calls.upload(b"found")
        assert calls.missing(digest) == []
        assert calls.missing(digest) == [digest.hash]


@pytest.mark.parametrize("name", ["Write", "BatchUpdateBlobs", "BatchReadBlobs"])
def test_blobs_are_gone_right_after_a_call_named_them(rpw_server: Server, name: str) -> None:
    data = b"here and gone"
    digest = SHA256.of(data)
    with bare(rpw_server) as calls:
        if name == "BatchReadBlobs":
            calls.upload(data)
        rpw_server.faults.evict_after(name)
        if name == "Write":
            assert calls.write(data).committed_size == len(data)
        elif name == "BatchUpdateBlobs":
            calls.upload(data)
        else:
            request = reapi.BatchReadBlobsRequest(digests=[message_of(digest)])
            (entry,) = calls.call("BatchReadBlobs", request).responses
            assert entry.data == data
        assert calls.missing(digest) == [digest.hash]


def test_a_cached_result_is_in_hands_whose_blobs_are_gone(rpw_server: Server) -> None:
    outcome = rpw_server.run(shell())
    output = outcome.outputs.files["out"].digest
    rpw_server.faults.evict_after("GetActionResult", first=1)
    hash_, size = outcome.digest.split("/")
    request = reapi.GetActionResultRequest(
        action_digest=reapi.Digest(hash=hash_, size_bytes=int(size))
    )
    with bare(rpw_server) as calls:
        result = calls.call("GetActionResult", request)
        assert result.output_files[0].digest.hash == output.hash
        with failing(Code.NOT_FOUND):
            calls.read(output)
        with failing(Code.NOT_FOUND):  # the server itself stays honest
            calls.call("GetActionResult", request)


def test_an_execution_answers_with_a_result_whose_blobs_are_gone(rpw_server: Server) -> None:
    digest = uploaded(rpw_server)
    rpw_server.faults.evict_after("Execute", first=1)
    with bare(rpw_server) as calls:
        response = reapi.ExecuteResponse()
        assert calls.execute(digest)[-1].response.Unpack(response)
        (file,) = response.result.output_files
        assert calls.missing(SHA256.validate(file.digest)) == [file.digest.hash]


def test_blobs_are_evicted_by_predicate_and_all_at_once(rpw_server: Server) -> None:
    with bare(rpw_server) as calls:
        small, large = calls.upload(b"small"), calls.upload(b"a larger one")
        assert rpw_server.faults.evict(lambda digest: digest.size > 10) == 1
        assert calls.missing(small, large) == [large.hash]
        assert rpw_server.faults.evict() == 1
        assert calls.missing(small, SHA256.empty) == [small.hash]


def test_inputs_that_were_evicted_are_uploaded_again(rpw_server: Server) -> None:
    action = shell("cat in > out", inputs={"in": "precious\n"})
    rpw_server.run(action)
    rpw_server.faults.arm("FindMissingBlobs:evict-all:first=1")
    outcome = rpw_server.run(action, skip_cache_lookup=True)
    assert outcome.outputs == {"out": b"precious\n"}
    assert rpw_server.counters.calls["Execute"] >= 2


def test_a_fault_can_be_disarmed_and_reset_clears_all(rpw_server: Server) -> None:
    faults = rpw_server.faults
    armed = faults.fail("FindMissingBlobs")
    faults.arm(Fault(target="Execute", effect=Effect.FAIL, code=Code.ABORTED))
    assert len(faults.armed) == 2
    armed.disarm()
    with bare(rpw_server) as calls:
        assert calls.missing() == []
    rpw_server.reset()
    assert faults.armed == ()


@pytest.mark.rpw(faults=("FindMissingBlobs:UNAVAILABLE:first=1",))
def test_faults_of_the_settings_are_armed_anew_by_a_reset(rpw_server: Server) -> None:
    for _ in range(2):
        with bare(rpw_server) as calls:
            with failing(Code.UNAVAILABLE):
                calls.missing()
            assert calls.missing() == []
        rpw_server.reset()


def test_nothing_can_be_evicted_from_a_server_that_does_not_run() -> None:
    server = Server()
    with pytest.raises(ConfigError, match="does not run"):
        server.faults.evict()


def test_the_command_line_refuses_a_fault_it_can_not_read() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "serve", "--fault", "Execute:NOPE"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "'NOPE' is neither a status code such as UNAVAILABLE nor one of" in done.stderr


def test_another_server_takes_no_faults_and_tests_of_them_skip(rpw_server: Server) -> None:
    with Cluster(rpw_server.endpoint) as cluster:
        for name in ("faults", "counters"):
            with pytest.raises(SkipTest, match="need a server embedded in the test"):
                getattr(cluster, name)
