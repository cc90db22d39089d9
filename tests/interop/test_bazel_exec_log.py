"""``check --exec-log`` with the logs of a real Bazel, built with local workers and remotely."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .bazel import LOCAL, LOCAL_WORKERS, BazelWorkspace
from .serve_process import ServeProcess
from .workspace_files import LEAKY, MORE

PROTO = MORE[:3]
JSON = ("//python:json0",)
_CHECK_TIMEOUT = 180.0


@pytest.fixture
def workspace(shared_workspace: BazelWorkspace) -> BazelWorkspace:
    shared_workspace.restore()
    shared_workspace.clean()
    return shared_workspace


def check(*arguments: str) -> tuple[int, Any, str]:
    """Exit status, JSON report and stderr."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "rpw_fixture", "check"),
            *("--format=json", "--pause=0", "--no-locate"),
            *arguments,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_CHECK_TIMEOUT,
        check=False,
    )
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout), done.stderr


def states(report: Any) -> dict[str, str]:
    return {each["code"]: each["status"] for each in report["checks"]}


@pytest.mark.parametrize("kind", ["binary", "json"])
def test_local_workers_with_the_contents_of_the_execution_root(
    workspace: BazelWorkspace, tmp_path: Path, kind: str
) -> None:
    log = tmp_path / "log"
    result = workspace.build(
        *PROTO, *JSON, flags=(*LOCAL_WORKERS, f"--execution_log_{kind}_file={log}")
    )
    assert result.exit_code == 0, result.stderr
    exec_root = (workspace.root / "bazel-out").resolve().parent
    codes = "RPW201,RPW202,RPW402,RPW403"
    status, report, said = check(
        "--exec-log", str(log), "--exec-root", str(exec_root), "--select", codes
    )
    assert (status, report["findings"]) == (0, []), said
    assert set(states(report).values()) == {"passed"}, said
    assert report["actions"] == len(PROTO) + len(JSON)
    assert f"RpwText: {len(PROTO) + len(JSON)} actions; runner: worker" in said
    assert "the log marks no tool inputs" in said
    assert "skipped" not in said


def test_a_leak_of_a_remote_build_is_found_with_the_contents_of_the_cas(
    workspace: BazelWorkspace, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    with ServeProcess(tmp_path, "--tool-input", "tools/**") as server:
        flags = (*server.bazel_flags, f"--execution_log_binary_file={log}")
        result = workspace.build(*LEAKY[:2], flags=flags)
        assert result.exit_code == 0, result.stderr
        status, report, said = check(
            *("--exec-log", str(log), "--cas", server.endpoint, "--select", "RPW202"),
            *("--mnemonic", "RpwText:proto"),
        )
        assert server.stop() == 0
    assert status == 1, said
    assert report["actions"] == 2
    polluter = "bazel-out/k8-fastbuild/bin/recorded/leaky0.txt RpwText"
    assert {tuple(each["polluters"]) for each in report["findings"]} == {(polluter,)}


def test_two_logs_show_what_a_leak_changed(workspace: BazelWorkspace, tmp_path: Path) -> None:
    workspace.shutdown()  # a server that ran other builds may spread these over several workers
    logs = [tmp_path / "alone", tmp_path / "warm"]
    one_worker = (*LOCAL_WORKERS, "--worker_max_instances=1", "--jobs=1")
    for log, flags in zip(logs, (LOCAL, one_worker), strict=True):
        workspace.clean()
        # Bazel runs the actions of one build in any order; the worker has to see the header first.
        result = workspace.build(LEAKY[0], flags=flags)
        assert result.exit_code == 0, result.stderr
        flag = f"--execution_log_json_file={log}"
        result = workspace.build(*LEAKY[1:3], *PROTO[:1], flags=(*flags, flag))
        assert result.exit_code == 0, result.stderr
    pair = ("--exec-log", str(logs[0]), "--exec-log", str(logs[1]))
    status, report, said = check(*pair, "--select", "RPW201,RPW202,RPW4")
    assert status == 1, said
    victims = {each["victim"] for each in report["findings"]}
    assert victims
    assert all("recorded/leaky" in each for each in victims)
    assert {each["code"] for each in report["findings"]} == {"RPW201"}
    assert "(local)" in report["findings"][0]["evidence"]
    assert states(report)["RPW202"] == "skipped"
    assert states(report)["RPW402"] == "passed"
    assert "3 actions with the same command and inputs" in said
