"""The system has no thread left for a while: calls are refused meanwhile, and nothing is lost after."""

from __future__ import annotations

import contextlib
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import grpc
import pytest

from rpw_fixture import Action, Client, RequestError, Server
from rpw_fixture.events import InternalError
from rpw_fixture.threads import ThreadPool, ThreadStartError
from rpw_fixture.wire.protos import remote_execution as re

from ..server_process import OURS, ServerProcess
from .raw_http2 import RawClient, message

REAPI = "/build.bazel.remote.execution.v2"
CAPABILITIES = f"{REAPI}.Capabilities/GetCapabilities"
HELLO = Action(arguments=["/bin/sh", "-c", "echo hello"])


@contextlib.contextmanager
def no_more_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What the interpreter raises at the limit of processes."""

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        yield


def status(channel: grpc.Channel) -> grpc.StatusCode:
    try:
        channel.unary_unary(CAPABILITIES, None, None)(b"", timeout=30)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


def test_a_pool_without_a_thread_says_so_and_recovers(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ThreadPool(3, "test-pool")
    with no_more_threads(monkeypatch):
        for start in (pool.start, pool.start_or_wait):
            with pytest.raises(ThreadStartError, match="limit of processes"):
                start(lambda: None)
    assert (pool.busy, pool.backlog) == (0, 0)
    assert pool.submit(divmod, 7, 2).result(10) == (3, 1)
    pool.shutdown()


def test_work_that_may_wait_is_done_by_the_threads_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pool, go_on, done = ThreadPool(3, "test-pool"), threading.Event(), threading.Event()
    pool.start(lambda: bool(go_on.wait(10)))
    with no_more_threads(monkeypatch):
        with pytest.raises(ThreadStartError):
            pool.start(lambda: None)
        pool.start_or_wait(done.set)
        assert pool.backlog == 1
        go_on.set()
        assert done.wait(10)
    pool.shutdown()


def test_the_first_call_is_refused_and_the_next_one_served(
    make_rpw_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_rpw_server()
    client = RawClient(server.address)  # gRPC's own client would need threads as well
    try:
        with no_more_threads(monkeypatch):
            streams = [client.open(CAPABILITIES, message(b""), end=True) for _ in range(20)]
            client.wait(streams, 30)
            assert client.answered == set()
        with grpc.insecure_channel(server.address) as channel:
            assert status(channel) is grpc.StatusCode.OK
        assert server.run(HELLO).stdout == b"hello\n"
    finally:
        client.close()


def test_a_call_beyond_the_threads_there_are_is_refused_as_exhausted(
    make_rpw_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_rpw_server()
    with grpc.insecure_channel(server.address) as channel:
        assert status(channel) is grpc.StatusCode.OK
        server.faults.delay("GetCapabilities", 600, first=1)
        slow = channel.unary_unary(CAPABILITIES, None, None).future(b"")
        while not server.counters.methods["GetCapabilities"].open and not _is_delayed(server):
            time.sleep(0.005)
        with no_more_threads(monkeypatch):
            codes = {status(channel) for _ in range(20)}
            assert codes == {grpc.StatusCode.RESOURCE_EXHAUSTED}
        assert status(channel) is grpc.StatusCode.OK
        slow.cancel()
    assert server.events.of(InternalError) == []


def _is_delayed(server: Server) -> bool:
    return any(each.hits for each in server.faults.armed)
