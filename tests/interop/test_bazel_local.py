"""The workspace by itself: its tools are real workers, and these change no byte of any output."""

from __future__ import annotations

from collections.abc import Mapping

from .bazel import LOCAL_WORKERS, BazelWorkspace
from .workspace_files import ACTIONS


def test_the_workspace_has_at_least_forty_actions_and_each_has_one_output(
    local_outputs: Mapping[str, bytes],
) -> None:
    assert ACTIONS >= 40
    assert len(local_outputs) == ACTIONS


def test_bazels_own_workers_give_the_same_bytes_with_few_starts(
    workspace: BazelWorkspace, local_outputs: Mapping[str, bytes]
) -> None:
    result = workspace.build(flags=LOCAL_WORKERS)
    assert result.exit_code == 0, result.stderr
    assert result.outputs == local_outputs
    assert result.processes["worker"] == ACTIONS
    # Proto, JSON and Java differ for Bazel; what a server calls a silo is one pool to it.
    assert 3 <= result.local_worker_starts <= 3 * 2
