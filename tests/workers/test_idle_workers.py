"""What is wrong with a worker between two requests, and which one is outdated."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers import personalities
from rpw_fixture.workers.lifecycle import State, transition
from rpw_fixture.workers.likeness import OutdatedTools
from rpw_fixture.workers.personalities.rules import Lack, Protocols, SourcedRule
from rpw_fixture.workers.singleplex import Singleplex
from tests.testing.event_script import KEY, tools, with_changes


class Pipes:
    """Pipes of a worker in a certain state."""

    written = 7

    def __init__(
        self,
        *,
        is_quiet: bool = False,
        has_ended: bool = False,
        data: bytes | None = None,
        exit_: object = None,
        is_dying: bool = False,
    ) -> None:
        self.is_quiet, self.has_ended, self.is_dying = is_quiet, has_ended, is_dying
        self.read = lambda: data
        self.stderr = SimpleNamespace(drain=lambda: None)
        self.process = SimpleNamespace(wait=lambda _seconds: exit_)

    def crashed(self, how: str, sent_from: int) -> Exception:
        return LookupError(how, sent_from)


def singleplex(**state: Any) -> Singleplex:
    pipes: Any = Pipes(**state)
    connection: Any = SimpleNamespace(send=lambda _request: b"")
    return Singleplex(pipes, connection, takes_cancel=False, cancel_grace=1.0)


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ({"is_quiet": True, "has_ended": True}, None),
        ({"has_ended": True, "data": b"x"}, "ended between requests"),
        ({"data": None}, None),
        ({"data": b"", "exit_": object()}, "ended between requests"),
        ({"data": b""}, "closed its stdout between requests"),
    ],
)
def test_an_idle_worker_ended_closed_its_stdout_or_is_usable(
    state: dict[str, Any], reason: str | None
) -> None:
    problem = singleplex(**state).find_problem()
    assert (None if problem is None else str(problem.reason)) == reason
    assert problem is None or problem.violation is None


def test_what_an_idle_worker_writes_is_a_violation() -> None:
    problem = singleplex(data=b"hello").find_problem()
    assert problem is not None
    assert problem.violation is not None
    rule, detail = problem.violation
    assert rule in problem.reason
    assert "hello" in detail


def test_a_worker_that_is_being_killed_gets_no_request() -> None:
    request: Any = SimpleNamespace(request_id=0)
    token: Any = None
    with pytest.raises(LookupError) as failure:
        singleplex(is_dying=True).call(request, 0.0, token)
    assert failure.value.args == ("was killed", 7)


def test_a_tool_is_outdated_by_another_version_until_both_are_wanted() -> None:
    old, new = KEY, with_changes(KEY, tool_inputs=tools("lib.py", "tool.py", lib="changed"))
    other = with_changes(new, client_key="other")
    workers: list[Any] = [SimpleNamespace(key=each) for each in (old, new, other)]
    outdated = OutdatedTools()
    assert outdated.among(workers, new) == workers[:1]
    assert outdated.among(workers, new) == workers[:1]
    assert outdated.among([], other) == []
    assert outdated.among(workers, old) == []
    assert outdated.among(workers, new) == []


def test_a_worker_goes_only_from_some_states_to_others() -> None:
    assert transition(State.IDLE, State.BUSY) is State.BUSY
    for state in State:
        with pytest.raises(ValueError, match=f"from {state} to {State.STARTING}"):
            transition(state, State.STARTING)


def test_personalities_are_found_by_name() -> None:
    names = personalities.names()
    assert isinstance(names, tuple)
    assert names[0] == "reference"
    assert [each.name for each in personalities.all_personalities()] == list(names)
    with pytest.raises(
        ConfigError, match=r"'buildbarnn'; did you mean 'buildbarn'\? known are ref"
    ):
        personalities.find("buildbarnn")
    with pytest.raises(ConfigError, match="unknown personality '1234'; known are reference, "):
        personalities.require("1234")


def test_a_rule_without_a_source_is_unknown() -> None:
    assert SourcedRule(1, "a page").is_known is True
    assert SourcedRule(1, "").is_known is False
    assert str(Protocols("", (), Lack.ERROR)) == "proto only"
    both = (WorkerProtocol.PROTO, WorkerProtocol.JSON)
    assert str(Protocols("name", both, Lack.ERROR)) == f"name: proto or json, else {Lack.ERROR}"
