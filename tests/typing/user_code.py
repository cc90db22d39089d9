"""What a user writes, as type checkers see it; it is checked and never run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import assert_type

import pytest

from rpw_fixture import Action, ActionOutcome, Client, Config, File, Server, Symlink
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.testing.records import ActionRecord, Actions, WorkerRecord, Workers


@pytest.fixture(scope="session")
def rpw_config(rpw_config: Config) -> Config:
    assert Config(isolation="landlock", default_protocol=("json",), when_full="wait")
    return rpw_config.replace(max_workers_per_key=1)


@pytest.fixture
def compile_action(tmp_path: Path) -> Action:
    action = Action(
        arguments=["tool"],
        inputs={"a": b"", "b": "text", "c": tmp_path, "d": File(b"", is_executable=True)},
        tool_inputs={"tool": tmp_path / "tool", "link": Symlink("tool")},
        outputs=("out",),
        environment={"LANG": "C"},
        worker_key="key",
        protocol="json",
    )
    assert_type(action.arguments, tuple[str, ...])
    return Action.from_folder(tmp_path, arguments=["x"]).with_input("a", "b").with_tool_input("a")


def test_reuse(rpw_server: Server, compile_action: Action) -> None:
    outcome = rpw_server.run(compile_action)
    assert_type(outcome, ActionOutcome)
    assert_type(outcome.outputs["out"], bytes)
    assert_type(outcome.worker, int | None)
    other: Mapping[str, bytes] = outcome.outputs
    assert other
    rpw_server.assert_worker_reused(outcome, compile_action, rpw_server.actions.persistent())
    rpw_server.assert_worker_restarted(outcome, outcome, because="x")
    rpw_server.assert_tool_inputs(outcome, {"tools/**"})
    rpw_server.assert_one_shot(outcome)


def test_records(rpw_server: Server) -> None:
    mark = rpw_server.mark()
    assert_type(rpw_server.actions, Actions)
    assert_type(rpw_server.actions.with_mnemonic("Javac").since(mark), Actions)
    assert_type(rpw_server.actions[0], ActionRecord)
    assert_type(rpw_server.actions[1:], Actions)
    assert_type(rpw_server.workers.alive(), Workers)
    assert_type(rpw_server.workers.only(), WorkerRecord)
    assert_type(rpw_server.bazel_flags(), list[str])


def test_made(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(Config(jobs=1), max_workers=2)
    assert_type(server, Server)


def own_server() -> Iterator[Client]:
    with Server(max_workers=1) as server, Client(server.endpoint) as client:
        assert_type(server, Server)
        yield client
