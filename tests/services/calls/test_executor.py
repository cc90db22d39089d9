"""Threads for calls: what becomes of a call for which there is none."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import grpc
import pytest

from rpw_fixture.services.calls import executor, grpc_calls, sweeper
from rpw_fixture.services.calls.executor import CallExecutor
from rpw_fixture.services.calls.lanes import Lane
from rpw_fixture.support.thread_pool import ThreadStartError


class Call:
    """Keeps how it was ended."""

    def __init__(self) -> None:
        self.ends: list[grpc.StatusCode] = []
        self.is_active = True
        self.handler = None

    def end(self, code: grpc.StatusCode, _details: str) -> None:
        self.ends.append(code)
        self.is_active = False


def start(calls: CallExecutor, call: Any) -> None:
    calls._start(call, Lane.UNARY, lambda: None)


def test_a_call_after_the_end_gets_the_status_of_a_stopping_server() -> None:
    call = Call()
    with CallExecutor(2) as calls:
        pass
    start(calls, call)
    assert call.ends == [grpc.StatusCode.UNAVAILABLE]
    calls.resume(lambda: None, Lane.UNARY)
    calls.submit(print)


def test_a_call_without_a_thread_is_refused_as_exhausted(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError

    call = Call()
    with CallExecutor(2) as calls:
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", refuse)
            start(calls, call)
        assert call.ends == [grpc.StatusCode.RESOURCE_EXHAUSTED]
        start(calls, call)


def test_a_call_without_its_message_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    call: Any = Call()
    with CallExecutor(2) as calls:
        calls._serve_message(call, None)
    assert call.ends == [grpc.StatusCode.UNIMPLEMENTED]


def test_a_stranger_is_ended_when_its_time_is_over_and_not_before() -> None:
    call: Any = Call()
    stranger = executor._Stranger(call)
    assert stranger.sweep(stranger._end - 0.01)
    assert call.ends == []
    assert not stranger.sweep(stranger._end)
    assert call.ends == [grpc.StatusCode.UNAUTHENTICATED]
    assert not stranger.sweep(stranger._end)
    assert len(call.ends) == 1


def test_a_sweeper_without_a_thread_gets_one_with_the_next_call(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    swept = threading.Event()

    class Once(sweeper.Swept):
        def sweep(self, now: float) -> bool:
            swept.set()
            return now < 0

    def refuse(_: threading.Thread) -> None:
        raise ThreadStartError

    with sweeper.Sweeper() as sweeping:
        with monkeypatch.context() as patched:
            patched.setattr(sweeper, "start_thread", refuse)
            sweeping.add(Once())
        assert len(sweeping.snapshot()) == 1
        sweeping.add(Once())
        assert swept.wait(60)
    assert sweeping.snapshot() == []
    sweeping.add(Once())
    sweeping.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"_RPCState": None},
        {"_RPCState": lambda: SimpleNamespace(due=[])},
        {"_abort": lambda _state, _call: None},
        {"_abort": 7},
        {"_Context": None},
        {"_is_rpc_state_active": lambda state: False},  # noqa: ARG005 - the name is looked at
        {grpc_calls._TOKENS[0]: 1},
    ],
    ids=[
        "no state",
        "another state",
        "another way to end",
        "no way to end",
        "no context",
        "another question",
        "another token",
    ],
)
def test_another_grpc_than_expected_is_not_supported(
    changes: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert grpc_calls._is_supported()
    for name, value in changes.items():
        monkeypatch.setattr(grpc_calls._server, name, value)
    assert grpc_calls._is_supported() is False
