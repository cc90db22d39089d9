"""What the records say about real actions, workers and servers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from rpw_fixture import Action, Config, Server, __version__
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.events.kinds import ActionCompleted, ActionRouted, WorkerRetired
from tests.waiting import PATIENCE
from tests.workers.worker_actions import probe_action

PHASES = ("queued", "staged", "executed", "collected", "replied")


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_an_events_file_begins_with_the_server_and_its_settings(tmp_path: Path) -> None:
    path = tmp_path / "events"
    for jobs in (2, 3):
        with Server(events=str(path), jobs=jobs) as server:
            server.run(Action(arguments=["/bin/true"]))
            endpoint = server.endpoint

    starts = [line for line in lines(path) if line["event"] == "server_started"]
    assert [line["seq"] for line in starts] == [1, 1]
    first, second = starts
    assert first["version"] == __version__
    assert first["configuration"]["jobs"] == 2  # type: ignore[index]
    assert second["configuration"]["jobs"] == 3  # type: ignore[index]
    assert second["endpoint"] == endpoint
    fields = {each.name for each in dataclasses.fields(Config)}
    assert set(second["configuration"]) == fields  # type: ignore[call-overload]


def test_a_server_that_cannot_listen_leaves_no_record_of_a_start(tmp_path: Path) -> None:
    path = tmp_path / "events"
    with Server() as other, pytest.raises(EnvironmentLacksError):
        Server(listen=other.address, events=str(path)).start()
    assert path.read_bytes() == b""


def test_the_phases_of_an_action_follow_each_other(rpw_server: Server) -> None:
    for action in (probe_action(), Action(arguments=["/bin/true"])):
        rpw_server.run(action, skip_cache_lookup=True)
        phases = rpw_server.events.of(ActionCompleted)[-1].phases
        assert tuple(phases) == PHASES
        assert list(phases.values()) == sorted(phases.values())
        assert 0 <= phases["queued"] < phases["executed"] < phases["replied"] < PATIENCE


def test_an_action_from_the_cache_has_no_phase_between_queue_and_reply(rpw_server: Server) -> None:
    rpw_server.run(Action(arguments=["/bin/true"]))
    assert rpw_server.run(Action(arguments=["/bin/true"])).cached
    phases = rpw_server.events.of(ActionCompleted)[-1].phases
    assert phases["queued"] == phases["staged"] == phases["executed"] == phases["collected"]
    assert phases["collected"] < phases["replied"]


def test_the_wait_for_a_worker_belongs_to_the_queue(rpw_server: Server) -> None:
    """A worker that starts slowly is neither slow staging nor a slow request."""
    rpw_server.run(probe_action())
    completed = rpw_server.events.of(ActionCompleted)[-1]
    start = next(each for each in rpw_server.events if each.event == "worker_started")
    routed = rpw_server.events.of(ActionRouted)[-1]
    assert completed.phases["queued"] >= start.time - routed.time


def test_a_retired_worker_has_its_age_and_its_peak(rpw_server: Server) -> None:
    rpw_server.run(probe_action())
    rpw_server.stop()
    record = rpw_server.events.of(WorkerRetired)[-1]
    rpw_server.start()
    assert 0 < record.seconds < PATIENCE
    assert 1 << 20 < record.peak_bytes < 1 << 30


def test_a_route_says_whether_a_worker_was_asked_for_and_how_many_tool_inputs_there_are(
    rpw_server: Server,
) -> None:
    rpw_server.run(Action(arguments=["/bin/true"]))
    rpw_server.run(Action(arguments=["/bin/true"], tool_inputs={"tools/a": "a", "tools/b": "b"}))
    rpw_server.run(Action(arguments=["/bin/true"], worker_key="k"))
    rpw_server.run(probe_action())

    plain, marked, asking, served = rpw_server.events.of(ActionRouted)
    assert (plain.asks_for_worker, plain.tool_inputs) == (False, 0)
    assert (marked.asks_for_worker, marked.tool_inputs) == (False, 2)
    assert (asking.asks_for_worker, asking.tool_inputs) == (True, 0)
    assert served.asks_for_worker
    assert served.tool_inputs >= 1


def test_the_client_learns_where_its_action_ran_and_why(rpw_server: Server) -> None:
    failing = Action(arguments=["/bin/sh", "-c", "exit 3"])
    assert rpw_server.run(failing).message == (
        "rpw_fixture: ran one-shot: persistentWorkerKey is not set"
    )
    assert rpw_server.run(probe_action()).message.startswith("rpw_fixture: ran on worker 1: ")
    second = rpw_server.run(probe_action()).message
    assert second.startswith("rpw_fixture: ran on worker 1, reused: persistentWorkerKey, ")
