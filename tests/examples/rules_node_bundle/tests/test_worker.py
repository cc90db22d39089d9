"""The worker without Bazel: its results, how it is reused, and what restarts it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from rpw_fixture import Action, Server


def test_the_bundle_runs(rpw_server: Server, action: Action, node: str, tmp_path: Path) -> None:
    script = tmp_path / "hello.js"
    script.write_bytes(rpw_server.run(action).outputs["hello.bundle.js"])
    shown = subprocess.run([node, str(script)], capture_output=True, text=True, check=True).stdout
    assert shown == "Hello, Bazel!\n"


def test_an_edited_module_is_seen_by_the_same_worker(rpw_server: Server, action: Action) -> None:
    before = rpw_server.run(action)
    after = rpw_server.run(
        action.with_input("example/greeting.js", "exports.greet = () => 'edited';")
    )
    rpw_server.assert_worker_reused(before, after)
    assert b"edited" in after.outputs["hello.bundle.js"]


def test_an_edited_worker_is_restarted(rpw_server: Server, action: Action) -> None:
    before = rpw_server.run(action)
    loop = action.tool_inputs["bundle/worker_loop.js"].content
    after = rpw_server.run(action.with_tool_input("bundle/worker_loop.js", loop + b"\n"))
    rpw_server.assert_worker_restarted(before, after, because="bundle/worker_loop.js")
    assert before == after


def test_a_syntax_error_names_the_module_and_costs_no_worker(
    rpw_server: Server, action: Action
) -> None:
    bad = rpw_server.run(action.with_input("example/hello.js", "const = 3;"))
    good = rpw_server.run(action)
    assert (bad.exit_code, good.exit_code) == (1, 0)
    assert b"bundle: example/hello.js: Unexpected token '='" in bad.stderr
    rpw_server.assert_worker_reused(bad, good)


@pytest.mark.usefixtures("node")
def test_the_suite_has_no_errors(repository: Path, tmp_path: Path) -> None:
    # These codes take seconds; in CI the whole suite is checked.
    check = [sys.executable, "-m", "rpw_fixture", "check", str(repository / "suite.toml")]
    done = subprocess.run(
        [*check, "--select", "RPW202,RPW118"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
