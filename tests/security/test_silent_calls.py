"""Calls that are opened and left alone, hundreds at once, do not keep other calls from being served."""

from __future__ import annotations

import gc
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpw_fixture import Action, Server
from rpw_fixture.services.calls import executor, grpc_calls
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.protos import bytestream, health
from rpw_fixture.wire.protos import remote_execution as reapi

from .conftest import TOKEN
from .raw_http2 import RawClient, message

Make = Callable[..., Server]
MANY = 600
REAPI = "/build.bazel.remote.execution.v2"
FIND = f"{REAPI}.ContentAddressableStorage/FindMissingBlobs"
READ = "/google.bytestream.ByteStream/Read"
WRITE = "/google.bytestream.ByteStream/Write"
WATCH = "/grpc.health.v1.Health/Watch"
CHECK = "/grpc.health.v1.Health/Check"
EXECUTE = f"{REAPI}.Execution/Execute"
UPLOAD = "uploads/5f0c2a1e-1111-4222-8333-444455556666/blobs/{}"
#: How long a unary call may take, whatever else is open, seconds; held up, it would wait for strangers.
LONGEST = 0.9 * executor.STRANGER_SECONDS
#: Scheduling on a busy machine, seconds.
SLACK = 30.0


@pytest.fixture
def server(make_rpw_server: Make, token_file: str) -> Server:
    return make_rpw_server(auth_token_file=token_file, jobs=2)


@contextmanager
def raw(server: Server, **options: Any) -> Iterator[RawClient]:
    client = RawClient(server.address, **options)
    try:
        yield client
    finally:
        client.close()


def first_part(number: int) -> bytes:
    """A message of an upload that has more to come."""
    name = UPLOAD.format(SHA256.of(b"%d" % number * 1000))
    return message(bytestream.WriteRequest(resource_name=name, data=b"x").SerializeToString())


#: What is sent on each call before the client falls silent.
KINDS: dict[str, tuple[str, Callable[[int], list[bytes]]]] = {
    "no message": (FIND, lambda _: []),
    "no message of a stream": (WRITE, lambda _: []),
    "half a message": (FIND, lambda _: [message(bytes(1000))[:100]]),
    "the beginning of an upload": (WRITE, lambda number: [first_part(number)]),
    "no message to Execute": (EXECUTE, lambda _: []),
    "no message to Check": (CHECK, lambda _: []),
    "a watch": (WATCH, lambda _: [message(b"")]),
}


def open_many(client: RawClient, kind: str, token: str = "") -> list[int]:
    path, data = KINDS[kind]
    is_whole = kind == "a watch"
    return [client.open(path, *data(number), end=is_whole, token=token) for number in range(MANY)]


def answers_in(server: Server) -> float:
    """The median of a few unary calls, each over a new connection, seconds."""
    seconds = []
    request = reapi.FindMissingBlobsRequest().SerializeToString()
    for _ in range(3):
        with grpc.insecure_channel(
            server.address, [("grpc.use_local_subchannel_pool", 1)]
        ) as channel:
            grpc.channel_ready_future(channel).result(30)
            began = time.monotonic()
            metadata = (("authorization", f"Bearer {TOKEN}"),)
            channel.unary_unary(FIND, None, None)(request, timeout=30, metadata=metadata)
            seconds.append(time.monotonic() - began)
    return statistics.median(seconds)


def threads_of_calls() -> int:
    names = [f"rpw-{lane.value}-" for lane in executor.Lane]
    return sum(each.name.startswith(tuple(names)) for each in threading.enumerate())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("token", [TOKEN, "wrong"], ids=["token", "wrong"])
def test_hundreds_of_calls_that_say_nothing_more_hold_up_no_other_call(
    server: Server, kind: str, token: str
) -> None:
    with raw(server) as client:
        began = time.monotonic()
        streams = open_many(client, kind, token)
        assert answers_in(server) < LONGEST
        if token != TOKEN:
            client.wait(streams, executor.STRANGER_SECONDS + SLACK)
            assert time.monotonic() - began < executor.STRANGER_SECONDS + SLACK
        elif kind != "the beginning of an upload":
            assert threads_of_calls() < MANY / 4  # they wait without one
    assert answers_in(server) < LONGEST


def test_all_kinds_at_once_beside_600_sleeping_actions(server: Server, tmp_path: Path) -> None:
    client = server.client
    actions = [
        Action(arguments=["/bin/sh", "-c", "sleep 600"], salt=b"%d" % number)
        for number in range(MANY)
    ]
    with ExitStack() as stack:
        executing = stack.enter_context(raw(server))
        for action in actions:
            encoded = client._encode(action)
            client.upload(encoded.blobs)
            digest = reapi.Digest(hash=encoded.digest.hash, size_bytes=encoded.digest.size)
            request = reapi.ExecuteRequest(action_digest=digest).SerializeToString()
            executing.open(EXECUTE, message(request), end=True, token=TOKEN)
        for kind in KINDS:
            for token in (TOKEN, ""):
                open_many(stack.enter_context(raw(server)), kind, token)
        answers_in(server)  # now all of them have come in
        assert answers_in(server) < LONGEST
        assert server.counters.methods["Execute"].open == MANY
        began = time.monotonic()
    server.reset()
    server.stop()
    assert time.monotonic() - began < 30


def test_who_reads_nothing_and_has_no_token_holds_nothing_either(server: Server) -> None:
    with raw(server, window=0) as client:
        streams = open_many(client, "a watch")
        assert answers_in(server) < LONGEST
        client.wait(streams, executor.STRANGER_SECONDS + SLACK)


def test_a_connection_that_says_nothing_is_closed(server: Server) -> None:
    host, _, port = server.address.rpartition(":")
    began = time.monotonic()
    with socket.create_connection((host, int(port)), timeout=30) as silent:
        while silent.recv(1 << 16):
            pass  # the server's settings
    assert time.monotonic() - began < executor.STRANGER_SECONDS + SLACK


@pytest.mark.parametrize("kind", KINDS)
def test_a_stopped_server_lets_all_connections_go(server: Server, kind: str) -> None:
    gc.disable()
    try:
        with raw(server) as client:
            open_many(client, kind)
            answers_in(server)
            server.stop()
            client.wait_for_end()
    finally:
        gc.enable()


def test_a_stranger_s_message_is_never_read(server: Server) -> None:
    """64 MiB are announced; not even a window of them is taken once the call is refused."""
    with raw(server) as client:
        stream = client.open(FIND, message(bytes(64 << 20))[:16_000])
        assert client.wait([stream], SLACK) < SLACK
    assert server.counters.methods["FindMissingBlobs"].bytes_in == 0


def test_streams_without_a_reader_make_room_for_those_with_one(
    make_rpw_server: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lane of transfers is full of clients that read nothing, until others need it."""
    monkeypatch.setattr(executor, "STALL_SECONDS", 0.2)
    server = make_rpw_server(threads=8)
    data = bytes(1 << 20)
    digest = _put(server, data)
    request = bytestream.ReadRequest(resource_name=f"blobs/{digest}").SerializeToString()
    with raw(server, window=0) as client:
        for _ in range(20):
            client.open(READ, message(request), end=True)
        with grpc.insecure_channel(server.address) as channel:
            read = channel.unary_stream(READ, None, bytestream.ReadResponse.FromString)
            got = b"".join(each.data for each in read(request, timeout=60))
        assert got == data


def _put(server: Server, data: bytes) -> str:
    digest = SHA256.of(data)
    server.client.upload({digest: data})
    return str(digest)


def test_a_client_that_hears_nothing_of_its_half_close_gets_a_status(server: Server) -> None:
    with raw(server) as client:
        stream = client.open(FIND, end=True, token=TOKEN)
        client.wait([stream], SLACK)


@pytest.mark.parametrize("is_supported", [True, False])
def test_everything_is_served_with_a_grpc_that_looks_different(
    make_rpw_server: Make, monkeypatch: pytest.MonkeyPatch, *, is_supported: bool
) -> None:
    monkeypatch.setattr(grpc_calls, "IS_SUPPORTED", is_supported)
    server = make_rpw_server()
    outcome = server.run(Action(arguments=["/bin/sh", "-c", "echo hello"]))
    assert outcome.stdout == b"hello\n"
    with raw(server) as client:
        stream = client.open(
            WATCH, message(health.HealthCheckRequest().SerializeToString()), end=True
        )
        client.wait([stream], SLACK, answered=True)
        server.stop()
