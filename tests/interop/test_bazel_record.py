"""``record`` between a real Bazel's local worker strategy and the workers."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from .bazel import LOCAL, LOCAL_WORKERS, BazelWorkspace
from .workspace_files import LEAKY, MORE, SAMPLE_WORKERS

PROTO = MORE[:6]
JSON = ("//python:json0", "//python:json1")
#: One process for each kind of worker, so that the recorded order is the worker's.
FLAGS = (*LOCAL_WORKERS, "--worker_max_instances=1")
_CHECK_TIMEOUT = 180.0


@pytest.fixture
def workspace(shared_workspace: BazelWorkspace) -> BazelWorkspace:
    """The workspace as it was laid out, with nothing built. Everything else here is built from it."""
    shared_workspace.restore()
    shared_workspace.clean()
    return shared_workspace


def put_tee(workspace: BazelWorkspace, recording: Path, tool: str, script: str = "") -> None:
    """Have a tool's launcher start the worker behind the tee, as the page says."""
    script = script or f"{tool}.py"
    tee = f"{sys.executable} -m rpw_fixture record {recording}"
    worker = f'{sys.executable} -B "${{0%/*}}/{script}"'
    launcher = workspace.root / f"tools/python/{tool}"
    launcher.write_text(f'#!/bin/sh\nexec {tee} -- {worker} "$@"\n')


def recorded(folder: Path) -> list[Any]:
    return [json.loads(line) for line in (folder / "actions.jsonl").read_text().splitlines()]


def check(recording: Path, *arguments: str) -> tuple[int, Any]:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "rpw_fixture", "check", str(recording)),
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
    return done.returncode, json.loads(done.stdout)


def test_good_workers_are_recorded_and_clean(workspace: BazelWorkspace, tmp_path: Path) -> None:
    expected = workspace.build(*PROTO, *JSON, flags=LOCAL)
    workspace.clean()
    put_tee(workspace, tmp_path / "recording", "good")
    result = workspace.build(*PROTO, *JSON, flags=FLAGS)
    assert result.exit_code == 0, result.stderr
    assert result.outputs == expected.outputs
    assert result.processes["worker"] == len(PROTO) + len(JSON)
    lines = recorded(tmp_path / "recording")
    assert len(lines) == len(PROTO) + len(JSON)
    assert sorted(each["protocol"] for each in lines) == ["json"] * len(JSON) + ["proto"] * len(
        PROTO
    )
    for each in lines:
        (output,) = each["outputs"]
        assert output.startswith("bazel-out/")
        assert [made["path"] for made in each["made"]] == [output]
        tools = {entry["path"] for entry in each["inputs"] if entry["tool"]}
        assert {"tools/python/good.py", "tools/python/rpw_worker.py"} <= tools
        assert each["command"][2] == "tools/python/good.py"
    status, report = check(tmp_path / "recording", "--select", "RPW201,RPW202,RPW203,RPW4")
    assert (status, report["findings"]) == (0, [])
    assert report["actions"] == len(PROTO) + len(JSON)


def test_a_leak_is_found_in_what_was_recorded(workspace: BazelWorkspace, tmp_path: Path) -> None:
    put_tee(workspace, tmp_path / "recording", "leaky")
    result = workspace.build(*LEAKY[:3], flags=FLAGS)
    assert result.exit_code == 0, result.stderr
    status, report = check(tmp_path / "recording", "--select", "RPW202")
    assert status == 1
    polluter = "bazel-out/k8-fastbuild/bin/recorded/leaky0.txt leaky.py"
    assert {tuple(each["polluters"]) for each in report["findings"]} == {(polluter,)}
    assert len(report["findings"]) == 3


def test_a_multiplex_worker_is_recorded_and_clean(
    workspace: BazelWorkspace, tmp_path: Path
) -> None:
    rules = workspace.root / "rules.bzl"
    entry = '"supports-workers": "1",'
    both = f'{entry} "supports-multiplex-workers": "1",'
    rules.write_text(rules.read_text().replace(entry, both))
    script = "multiplex.py"
    (workspace.root / "tools/python" / script).write_bytes(
        (SAMPLE_WORKERS / "python" / script).read_bytes()
    )
    put_tee(workspace, tmp_path / "recording", "good", script)
    result = workspace.build(*PROTO, flags=(*FLAGS, "--experimental_worker_multiplex"))
    assert result.exit_code == 0, result.stderr
    lines = recorded(tmp_path / "recording")
    assert len(lines) == len(PROTO)
    assert {tuple(each["abilities"]) for each in lines} == {("multiplex",)}
    assert sorted(len(each["outputs"]) for each in lines) == [1] * len(PROTO)
    status, report = check(tmp_path / "recording", "--select", "RPW111,RPW201,RPW202")
    assert (status, report["findings"]) == (0, [])


def test_one_shot_runs_say_why_nothing_was_recorded(
    workspace: BazelWorkspace, tmp_path: Path
) -> None:
    put_tee(workspace, tmp_path / "recording", "good")
    result = workspace.build(*PROTO[:2], flags=LOCAL)
    assert result.exit_code == 0, result.stderr
    done = subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "check", str(tmp_path / "recording")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "started without --persistent_worker, so as a one-shot tool" in done.stderr
