"""How long a server has been idle: since its start, or since its last call ended."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.services.interceptors import activity as module
from rpw_fixture.services.interceptors.activity import Activity


class Calls:
    """Calls of a method, each open until the test ends it."""

    def __init__(self) -> None:
        self.now = 100.0
        self.handled: list[object] = []
        self.ends: list[Callable[[], None]] = []
        self.is_gone = False

    def monotonic(self) -> float:
        return self.now

    def add_callback(self, function: Callable[[], None]) -> bool:
        if not self.is_gone:
            self.ends.append(function)
        return not self.is_gone

    def handle(self, request: object, _call: object) -> str:
        self.handled.append(request)
        return "response"


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    made = Calls()
    monkeypatch.setattr(module, "time", made)
    return made


def begin(activity: Activity, calls: Calls) -> None:
    method: Any = None
    call: Any = SimpleNamespace(context=calls)
    assert activity.interceptor(method, calls.handle)("request", call) == "response"


def test_a_server_that_nobody_has_called_is_idle_since_its_start(calls: Calls) -> None:
    activity = Activity()
    assert activity.idle_seconds == 0
    calls.now += 5
    assert activity.idle_seconds == 5


def test_a_server_is_idle_since_the_last_of_its_calls_ended(calls: Calls) -> None:
    activity = Activity()
    calls.now += 5
    begin(activity, calls)
    begin(activity, calls)
    calls.now += 5
    assert activity.idle_seconds == 0
    calls.ends[0]()
    calls.now += 5
    assert activity.idle_seconds == 0
    calls.ends[1]()
    calls.now += 5
    assert activity.idle_seconds == 5
    assert calls.handled == ["request", "request"]


def test_a_call_whose_client_is_gone_already_ends_at_once(calls: Calls) -> None:
    activity = Activity()
    calls.is_gone = True
    calls.now += 5
    begin(activity, calls)
    calls.now += 3
    assert activity.idle_seconds == 3
    assert calls.handled == ["request"]
