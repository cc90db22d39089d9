"""What ``init`` writes, built by a real Bazel on a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture import Server, cli
from rpw_fixture.events.kinds import WorkerStarted
from rpw_fixture.plugin.bazel_workspace import BazelWorkspace

from .requirements import require_bazel

# Bazel before 6 marks no tool inputs.
pytestmark = pytest.mark.rpw(tool_inputs=["tools/**"], max_workers_per_key=1)


@pytest.fixture
def workspace(request: pytest.FixtureRequest) -> BazelWorkspace:
    require_bazel()
    workspace: BazelWorkspace = request.getfixturevalue("rpw_bazel")
    return workspace


@pytest.mark.parametrize("protocol", ["proto", "json"])
def test_one_worker_builds_both_targets(
    workspace: BazelWorkspace, rpw_server: Server, tmp_path: Path, protocol: str
) -> None:
    assert cli.main(["init", str(tmp_path / "start"), "--protocol", protocol]) == 0
    workspace.copy(tmp_path / "start")
    workspace.build("//...")
    assert (workspace.bin / "hello.out").read_text() == "HELLO, WORLD\n"
    assert (workspace.bin / "sea.out").read_text() == "THE SEA IS BLUE\n"
    actions = rpw_server.actions.with_mnemonic("Capitals")
    assert len(actions) == 2
    rpw_server.assert_worker_reused(actions)
    (started,) = rpw_server.events.of(WorkerStarted)
    assert ("--worker_protocol=json" in started.startup_arguments) == (protocol == "json")
