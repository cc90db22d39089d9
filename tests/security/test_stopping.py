"""Stopping waits for work, but not for clients that have gone or do nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import grpc
import pytest

from rpw_fixture import Action, Server
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import bytestream, longrunning
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.waiting import until

from .raw_http2 import RawClient, message

Make = Callable[..., Server]
REAPI = "/build.bazel.remote.execution.v2"
READ = "/google.bytestream.ByteStream/Read"
WRITE = "/google.bytestream.ByteStream/Write"
EXECUTE = f"{REAPI}.Execution/Execute"
WATCH = "/grpc.health.v1.Health/Watch"
BATCH_READ = f"{REAPI}.ContentAddressableStorage/BatchReadBlobs"
FIND = f"{REAPI}.ContentAddressableStorage/FindMissingBlobs"
#: What a server gives to work that goes on; far longer than what it takes to stop without any.
GRACE = 60.0
SOON = 30.0
DATA = bytes(3 << 20)


@pytest.fixture
def server(make_rpw_server: Make) -> Server:
    server = make_rpw_server(shutdown_grace=GRACE)
    server.client.upload({SHA256.of(DATA): DATA})
    return server


@contextmanager
def raw(server: Server) -> Iterator[RawClient]:
    client = RawClient(server.address)
    try:
        yield client
    finally:
        client.close()


def reading() -> bytes:
    name = f"blobs/{SHA256.of(DATA)}"
    return message(bytestream.ReadRequest(resource_name=name).SerializeToString())


def batch() -> bytes:
    digest = reapi.Digest(hash=SHA256.of(DATA).hash, size_bytes=len(DATA))
    return message(reapi.BatchReadBlobsRequest(digests=[digest]).SerializeToString())


def uploading() -> bytes:
    name = f"uploads/5f0c2a1e-1111-4222-8333-444455556666/blobs/{SHA256.of(b'xyz')}"
    return message(bytestream.WriteRequest(resource_name=name, data=b"x").SerializeToString())


#: Calls whose client does nothing any more: what it sent, whether that was all, and if it is
#: answered first.
IDLE: dict[str, tuple[str, list[bytes], bool, bool]] = {
    "a download that nobody reads": (READ, [reading()], True, True),
    "an answer that nobody reads": (BATCH_READ, [batch()], True, True),
    "an upload that does not go on": (WRITE, [uploading()], False, False),
    "a call without a message": (FIND, [], False, False),
    "a watch": (WATCH, [message(b"")], True, True),
}


@pytest.mark.parametrize("kind", IDLE)
def test_a_client_that_does_nothing_is_not_waited_for(server: Server, kind: str) -> None:
    path, sent, is_whole, is_answered = IDLE[kind]
    with raw(server) as client:
        stream = client.open(path, *sent, end=is_whole)
        if is_answered:
            client.wait([stream], 30, answered=True)
        elif sent:
            until(lambda: server.counters.methods["Write"].open)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < SOON


def test_a_client_that_has_gone_is_not_waited_for(server: Server) -> None:
    with raw(server) as client:
        stream = client.open(READ, reading(), end=True)
        client.wait([stream], 30, answered=True)
    began = time.monotonic()
    server.stop()
    assert time.monotonic() - began < SOON


def test_an_answer_of_an_action_that_no_client_reads_is_not_waited_for(server: Server) -> None:
    script = "head -c 3000000 /dev/zero"
    encoded = server.client._encode(Action(arguments=["/bin/sh", "-c", script]))
    server.client.upload(encoded.blobs)
    digest = reapi.Digest(hash=encoded.digest.hash, size_bytes=encoded.digest.size)
    request = reapi.ExecuteRequest(action_digest=digest, inline_stdout=True).SerializeToString()
    with raw(server) as client:
        stream = client.open(EXECUTE, message(request), end=True)
        client.wait([stream], 30, answered=True)
        until(lambda: server.actions)
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < SOON


def test_an_action_that_is_waited_for_ends_before_the_server_does(server: Server) -> None:
    server.client.run(Action(arguments=["/bin/true"]))
    encoded = server.client._encode(Action(arguments=["/bin/sh", "-c", "sleep 2; echo done"]))
    server.client.upload(encoded.blobs)
    digest = reapi.Digest(hash=encoded.digest.hash, size_bytes=encoded.digest.size)
    request = reapi.ExecuteRequest(action_digest=digest).SerializeToString()
    with grpc.insecure_channel(server.address) as channel:
        execute = channel.unary_stream(EXECUTE, None, longrunning.Operation.FromString)
        stream = execute(request, timeout=60)
        assert not next(stream).done
        server.stop()
        *_, last = stream
    response = reapi.ExecuteResponse()
    assert last.done
    assert last.response.Unpack(response)
    assert response.result.exit_code == 0


def test_a_download_that_goes_on_ends_before_the_server_does(server: Server) -> None:
    """Its client takes a piece every now and then, far more slowly than it could."""
    got: list[Any] = []
    is_stopped = threading.Event()
    with grpc.insecure_channel(server.address) as channel:
        read = channel.unary_stream(READ, None, bytestream.ReadResponse.FromString)
        request = bytestream.ReadRequest(resource_name=f"blobs/{SHA256.of(DATA)}")
        stream = read(request.SerializeToString(), timeout=60)
        got.append(next(stream))

        def stop() -> None:
            server.stop()
            is_stopped.set()

        thread = threading.Thread(target=stop)
        thread.start()
        for response in stream:
            got.append(response)
            is_stopped.wait(0.2)
        thread.join()
    assert b"".join(each.data for each in got) == DATA
