"""The rule with a real Bazel, whose actions run on the server."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from rpw_fixture import Server
from rpw_fixture.plugin.bazel_workspace import BazelWorkspace

# Bazel before 6.0 marks no tool inputs; these globs stand in. Newer ones do both, which agrees.
pytestmark = pytest.mark.rpw(tool_inputs=["**/properties/worker", "**/properties/worker.jar"])


def test_both_targets_share_a_worker_until_its_source_is_edited(
    rpw_bazel: BazelWorkspace, rpw_server: Server, repository: Path, java: str
) -> None:
    rpw_bazel.copy(repository)
    launcher = (repository / "properties/launcher").read_text()
    launcher = launcher.replace("/usr/bin/java", java)
    rpw_bazel.write("properties/launcher", launcher, is_executable=True)
    path = f"--action_env=PATH={os.path.dirname(java)}:/usr/bin:/bin"

    rpw_bazel.build("//example:all", flags=[path])
    merged = (rpw_bazel.bin / "example/production.properties").read_text()
    assert merged == "host=example.org\nport=8080\ntitle=Example\n"
    first = rpw_server.actions.with_mnemonic("Properties")
    rpw_server.assert_worker_reused(first)

    source = rpw_bazel.root / "properties/Merge.java"
    source.write_text(source.read_text().replace("append('=')", 'append(" = ")'))
    rpw_bazel.build("//example:production", flags=[path])
    _, again = rpw_server.actions.for_target("//example:production")
    rpw_server.assert_worker_restarted(first[-1], again, because="worker.jar")
