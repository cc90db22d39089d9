"""Calls that wait for their clients, and which of them are ended for others."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

from rpw_fixture.services.calls.client_waits import ClientWaits
from rpw_fixture.services.calls.lanes import Lane


class Calls:
    """Opens calls, and keeps the names of those that were cancelled."""

    def __init__(self) -> None:
        self.waits = ClientWaits()
        self.cancelled: list[str] = []

    def open(self, name: str, lane: Lane = Lane.TRANSFER) -> Any:
        context: Any = SimpleNamespace(cancel=lambda: self.cancelled.append(name))
        return self.waits.open(context, lane)


def test_only_calls_that_wait_for_so_long_in_the_crowded_lane_are_ended() -> None:
    calls = Calls()
    long, short, busy, elsewhere = (calls.open(each) for each in ("long", "short", "busy", "at"))
    elsewhere.lane = Lane.UNARY
    long.since, short.since, elsewhere.since = 1.0, 2.0, 1.0
    assert sorted(calls.waits.since()) == [1.0, 1.0, 2.0]
    calls.waits.cancel_stalled(Lane.TRANSFER, 2.0)
    assert calls.cancelled == ["long"]
    calls.waits.close(long)
    calls.waits.cancel_stalled(Lane.TRANSFER, 3.0)
    assert calls.cancelled == ["long", "short"]
    busy.begin()
    assert busy.since <= time.monotonic()
    assert len(calls.waits.since()) == 3
    busy.end()
    assert len(calls.waits.since()) == 2


def test_a_call_waits_while_grpc_has_its_response_or_looks_for_a_request() -> None:
    calls = Calls()
    call = calls.open("a")
    seen: list[list[float]] = []

    def requests() -> Any:
        seen.append(calls.waits.since())
        yield 1
        seen.append(calls.waits.since())

    for _ in call.receiving(requests()):
        assert calls.waits.since() == []
    assert [len(each) for each in seen] == [1, 1]
    for _ in call.sending([b"a", b"b"]):
        assert len(calls.waits.since()) == 1
    assert calls.waits.since() == []
