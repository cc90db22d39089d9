"""The rule with a real Bazel, whose actions run on the server."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture import Server
from rpw_fixture.plugin.bazel_workspace import BazelWorkspace

# Bazel before 6.0 marks no tool inputs; these globs stand in. Newer ones do both, which agrees.
pytestmark = pytest.mark.rpw(tool_inputs=["bundle/**"])


def test_both_targets_share_a_worker(
    rpw_bazel: BazelWorkspace, rpw_server: Server, repository: Path, node: str
) -> None:
    rpw_bazel.copy(repository)
    launcher = (repository / "bundle/worker").read_text().replace("/usr/bin/node", node)
    rpw_bazel.write("bundle/worker", launcher, is_executable=True)
    rpw_bazel.build("//example:all")
    assert "Goodbye" in (rpw_bazel.bin / "example/goodbye.bundle.js").read_text()
    rpw_server.assert_worker_reused(rpw_server.actions.with_mnemonic("Bundle"))
