"""The rule with a real Bazel, whose actions run on the server."""

from __future__ import annotations

import sys

import pytest

from rpw_fixture import Server
from rpw_fixture.plugin.bazel_workspace import BazelWorkspace

from .conftest import REPOSITORY

# Bazel before 6.0 marks no tool inputs; these globs stand in. Newer ones do both, which agrees.
pytestmark = pytest.mark.rpw(tool_inputs=["upper/**"])


@pytest.fixture
def workspace(rpw_bazel: BazelWorkspace) -> BazelWorkspace:
    rpw_bazel.copy(REPOSITORY)
    launcher = (REPOSITORY / "upper/worker").read_text().replace("/usr/bin/python3", sys.executable)
    rpw_bazel.write("upper/worker", launcher, is_executable=True)
    return rpw_bazel


def test_both_targets_share_a_worker(workspace: BazelWorkspace, rpw_server: Server) -> None:
    workspace.build("//example:all")
    assert (workspace.bin / "example/hello.txt").read_text() == "HELLO\n"
    rpw_server.assert_worker_reused(rpw_server.actions.with_mnemonic("Upper"))


def test_an_edited_worker_is_restarted(workspace: BazelWorkspace, rpw_server: Server) -> None:
    workspace.build("//example:hello")
    with (workspace.root / "upper/worker.py").open("a") as file:
        file.write("\n")
    workspace.build("//example:hello")
    before, after = rpw_server.actions.for_target("//example:hello")
    rpw_server.assert_worker_restarted(before, after, because="upper/worker.py")
