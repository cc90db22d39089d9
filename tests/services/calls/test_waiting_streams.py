"""Streams that wait: they continue without losing anything, and end as soon as their client has gone."""

from __future__ import annotations

import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from rpw_fixture import Action, Server
from rpw_fixture.events.kinds import InternalError
from rpw_fixture.services.calls import grpc_calls
from rpw_fixture.services.calls.lanes import Lane
from rpw_fixture.services.calls.waiting_streams import WaitingStream
from rpw_fixture.support.pausing import Pause, Signal
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.waiting import until

EXECUTE = "/build.bazel.remote.execution.v2.Execution/Execute"
WATCH = "/grpc.health.v1.Health/Watch"
Make = Callable[..., Server]


@pytest.fixture(params=[True, False], ids=["grpc as known", "another grpc"])
def server(
    make_rpw_server: Make, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> Server:
    monkeypatch.setattr(grpc_calls, "IS_SUPPORTED", request.param)
    return make_rpw_server(jobs=4)


def request_for(server: Server, action: Action) -> bytes:
    encoded = server.client._encode(action)
    server.client.upload(encoded.blobs)
    digest = reapi.Digest(hash=encoded.digest.hash, size_bytes=encoded.digest.size)
    return reapi.ExecuteRequest(action_digest=digest).SerializeToString()


def gated(path: Path, salt: int = 0) -> Action:
    script = f"until [ -e {path} ]; do sleep 0.02; done"
    environment = {"PATH": "/bin:/usr/bin"}
    return Action(arguments=["/bin/sh", "-c", script], environment=environment, salt=b"%d" % salt)


def test_updates_come_while_it_lasts_and_the_end_at_once(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with grpc.insecure_channel(server.address) as channel:
        execute = channel.unary_stream(EXECUTE, None, longrunning.Operation.FromString)
        stream = execute(request_for(server, gated(gate)), timeout=60)
        first, second = next(stream), next(stream)
        assert [first.done, second.done] == [False, False]
        gate.touch()
        *_, last = stream
    assert last.done
    assert server.events.of(InternalError) == []


def test_a_client_that_leaves_is_noticed_at_once(server: Server, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    with grpc.insecure_channel(server.address) as channel:
        execute = channel.unary_stream(EXECUTE, None, longrunning.Operation.FromString)
        streams = [
            execute(request_for(server, gated(gate, salt)), timeout=60) for salt in range(20)
        ]
        for stream in streams:
            next(stream)
        assert server.counters.methods["Execute"].open == 20
        for stream in streams:
            stream.cancel()
        until(lambda: server.counters.methods["Execute"].open == 0)
    gate.touch()


def test_many_short_actions_at_once_are_all_answered(server: Server) -> None:
    requests = [
        request_for(server, Action(arguments=["/bin/true"], salt=b"%d" % number))
        for number in range(100)
    ]
    with grpc.insecure_channel(server.address) as channel:
        execute = channel.unary_stream(EXECUTE, None, longrunning.Operation.FromString)
        streams = [execute(request, timeout=120) for request in requests]
        assert [list(stream)[-1].done for stream in streams] == [True] * 100


def test_a_watcher_hears_of_the_end(server: Server) -> None:
    answers: list[bytes] = []
    has_begun = threading.Event()
    with grpc.insecure_channel(server.address) as channel:
        stream = channel.unary_stream(WATCH, None, None)(b"", timeout=60)

        def watch() -> None:
            for answer in stream:
                answers.append(answer)
                has_begun.set()

        thread = threading.Thread(target=watch)
        thread.start()
        assert has_begun.wait(30)
        server.stop()
        thread.join(30)
    assert answers == [b"\x08\x01", b"\x08\x02"]


@pytest.fixture
def living(monkeypatch: pytest.MonkeyPatch) -> Iterator[weakref.WeakSet[WaitingStream]]:
    """All streams that are held, while the garbage collector rests."""
    streams: weakref.WeakSet[WaitingStream] = weakref.WeakSet()
    begin = WaitingStream.begin

    def begun(stream: WaitingStream) -> None:
        streams.add(stream)
        begin(stream)

    monkeypatch.setattr(WaitingStream, "begin", begun)
    gc.disable()
    yield streams
    gc.enable()


@pytest.mark.parametrize("end", ["answer", "cancel", "deadline"])
def test_a_stream_that_is_over_is_let_go(
    server: Server, living: weakref.WeakSet[WaitingStream], tmp_path: Path, end: str
) -> None:
    gate = tmp_path / "gate"
    request = request_for(server, gated(gate))
    with grpc.insecure_channel(server.address) as channel:
        execute = channel.unary_stream(EXECUTE, None, longrunning.Operation.FromString)
        stream = execute(request, timeout=0.5 if end == "deadline" else 60)
        if end != "deadline":
            next(stream)
            assert len(living) == 1
        if end == "answer":
            gate.touch()
        elif end == "cancel":
            stream.cancel()
        with contextlib.suppress(grpc.RpcError):
            list(stream)
        until(lambda: server.counters.methods["Execute"].open == 0)
    gate.touch()
    until(lambda: not living, "a stream is still held")


def test_a_stream_that_is_woken_while_a_thread_has_it_is_looked_at_again() -> None:
    nothing: Any = None
    stream: Any = WaitingStream(nothing, nothing, nothing, nothing, Lane.WAITING)
    stream._pause = object()
    assert not stream._end_rest()  # a thread has it
    assert not stream._rest()  # and looks again
    assert stream._rest()
    assert stream._end_rest()  # it rested, so nothing is to be looked at again
    assert stream._rest()


def test_a_stream_rests_only_while_something_will_wake_it() -> None:
    resumed: list[object] = []
    nothing: Any = None
    executor: Any = SimpleNamespace(resume=lambda work, lane: resumed.append((work, lane)))
    stream: Any = WaitingStream(nothing, nothing, nothing, executor, Lane.WAITING)
    assert not stream._rest()
    stream._is_sending = True
    assert stream._rest()
    stream._sent()
    assert resumed == [(stream._advance, Lane.WAITING)]
    stream._sent()
    assert len(resumed) == 1
    stream._pause = object()
    assert stream._rest()
    stream._sent()  # the end of the pause wakes it
    assert len(resumed) == 1
    stream._due = 7.0
    assert stream.sweep(6.9)
    assert len(resumed) == 1
    assert stream.sweep(7.0)
    assert len(resumed) == 2


def test_a_stream_that_sends_or_pauses_gives_its_thread_up() -> None:
    ended: list[str] = []
    nothing: Any = None
    items = iter([b"first", Pause(signal=Signal(), seen=0, seconds=None)])
    responses: Any = SimpleNamespace(close=lambda: ended.append("closed"))
    sweeper = SimpleNamespace(add=lambda _: None, discard=lambda _: None)
    executor: Any = SimpleNamespace(sweeper=sweeper)
    stream: Any = WaitingStream(responses, nothing, nothing, executor, Lane.WAITING)
    stream._context = SimpleNamespace(is_active=lambda: not ended)
    stream._is_sending = True
    assert stream._step() is True
    stream._is_sending = stream._is_resting = False
    stream._next = lambda: next(items)
    sent: list[bytes] = []
    stream._sender = SimpleNamespace(send=lambda data, _done: sent.append(data))
    assert stream._step() is False  # the first response is held back
    assert stream._step() is True  # it is sent before the pause
    assert sent == [b"first"]
    ended.append("client")
    assert stream._step() is True
    assert ended == ["client", "closed"]
