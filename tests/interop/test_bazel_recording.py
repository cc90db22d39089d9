"""Recordings of real Bazel builds, made by ``serve --record`` and judged by ``check``.

Two builds with a server each, one of them with a leaky tool among the good ones: `clean` and
`polluted` hold their recordings.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .bazel import LOCAL, BazelWorkspace, BuildResult
from .serve_process import ServeProcess
from .workspace_files import JSON, LEAKY, MORE, PLAIN, SILO

CODES = "RPW201,RPW202,RPW203,RPW402,RPW403"
GOOD = ("//python:all", *MORE)
ACTIONS = PLAIN + SILO + JSON + len(MORE)
_CHECK_TIMEOUT = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A build, its recording and the worker actions in it."""

    result: BuildResult
    folder: Path

    @property
    def targets(self) -> list[str]:
        """What was built and recorded."""
        lines = (self.folder / "actions.jsonl").read_text().splitlines()
        return [json.loads(line)["target"] for line in lines]


@pytest.fixture(scope="module")
def one_shot_outputs(shared_workspace: BazelWorkspace) -> Mapping[str, bytes]:
    """What every target's tool makes in a separate process."""
    shared_workspace.restore()
    shared_workspace.clean()
    result = shared_workspace.build(*GOOD, *LEAKY, flags=LOCAL)
    assert result.exit_code == 0, result.stderr
    return result.outputs


@pytest.fixture(scope="module")
def clean(shared_workspace: BazelWorkspace, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """More than forty targets, each an action of a good Python worker."""
    return _record(shared_workspace, tmp_path_factory.mktemp("clean"), *GOOD)


@pytest.fixture(scope="module")
def polluted(
    shared_workspace: BazelWorkspace, tmp_path_factory: pytest.TempPathFactory
) -> Recorded:
    """The same targets, and some that a leaky tool builds."""
    return _record(shared_workspace, tmp_path_factory.mktemp("polluted"), *GOOD, *LEAKY)


def test_every_worker_action_of_a_build_is_recorded(clean: Recorded) -> None:
    assert len(clean.targets) == len(set(clean.targets)) == ACTIONS


def test_a_recorded_build_with_good_workers_is_clean(clean: Recorded) -> None:
    status, report = _check(clean.folder, "--select", CODES)
    assert report["findings"] == []
    assert status == 0
    assert report["actions"] == ACTIONS
    assert {each["status"] for each in report["checks"]} == {"passed"}
    # Cold starts are what takes time, of compilers above all.
    assert report["worker_starts"] < 6 * ACTIONS


def test_a_leaky_tool_in_a_recorded_build_is_found_and_shrunk(
    polluted: Recorded, one_shot_outputs: Mapping[str, bytes]
) -> None:
    status, report = _check(polluted.folder, "--select", "RPW202", "--cache-poisoning")
    assert status == 1
    assert {each["code"] for each in report["findings"]} == {"RPW202"}
    blamed = {each["victim"]: each["polluters"] for each in report["findings"]}
    # The first target adds its header a second time when it is built again.
    assert blamed == {_action(each): [_action(LEAKY[0])] for each in LEAKY}
    poisoning = report["cache_poisoning"]
    assert poisoning["entries"] == ACTIONS + len(LEAKY)
    assert set(poisoning["actions"]) == {
        _action(each) for each in _wrong(polluted, one_shot_outputs)
    }
    assert poisoning["wrong"] == len(poisoning["actions"])


def _action(target: str) -> str:
    return f"{target} RpwText"


def _wrong(recorded: Recorded, right: Mapping[str, bytes]) -> list[str]:
    """Targets of which Bazel itself got other bytes from the server."""
    outputs = recorded.result.outputs
    assert outputs.keys() == right.keys()
    wrong = [path for path in sorted(outputs) if outputs[path] != right[path]]
    return [f"//{path.removesuffix('.txt').replace('/', ':')}" for path in wrong]


def _record(workspace: BazelWorkspace, folder: Path, *targets: str) -> Recorded:
    """Builds from nothing, each key on one worker, so that the recorded order is the worker's."""
    workspace.restore()
    workspace.clean()
    recording = folder / "recording"
    flags = ("--tool-input", "tools/**", "--max-workers-per-key", "1", "--record", str(recording))
    with ServeProcess(folder, *flags) as server:
        result = workspace.build(*targets, flags=server.bazel_flags)
        assert result.exit_code == 0, result.stderr + server.log
        assert server.stop() == 0, server.log
    return Recorded(result=result, folder=recording)


def _check(recording: Path, *arguments: str) -> tuple[int, Any]:
    """Exit status and JSON report of the subcommand, in a separate process."""
    done = subprocess.run(
        [
            *(sys.executable, "-m", "rpw_fixture", "check", str(recording)),
            *("--format", "json", "--pause", "0", "--no-locate"),
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
