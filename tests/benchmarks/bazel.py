"""Real Bazel: its own worker strategy against ours, with the same actions and nothing cached.

Between builds a source that all actions share is edited, so that every action runs anew while the
workers stay warm; an edited tool makes them cold. ``bazel clean`` would end Bazel's own workers.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from .bazel_workspace import TimedWorkspace
from .figures import Effort, Figure, UnavailableError
from .processes import OURS, ServerProcess
from .sampling import median

#: The same for both strategies: Bazel ends its own workers when their options change.
_COMMON = ("--jobs=16", "--worker_max_instances=4")
_LOCAL = (*_COMMON, "--spawn_strategy=worker")
_REMOTE = (*_COMMON, "--spawn_strategy=remote", "--remote_local_fallback=false")
_TOOL_INPUTS = ("--tool-input", "**/tool", "--tool-input", "**/worker.py")
_SLOW_START = "import time\n\ntime.sleep(0.5)\n"


def figures(effort: Effort) -> Iterator[Figure]:
    """Many tiny actions, then a few of a tool that takes half a second to start."""
    bazel, javac = shutil.which("bazel"), shutil.which("javac")
    if bazel is None or javac is None:
        raise UnavailableError("there is no bazel, or no javac, on PATH")
    tiny = effort.pick(smoke=3, quick=300, full=300)
    slow = effort.pick(smoke=2, quick=20, full=20)
    rounds = effort.pick(smoke=1, quick=3, full=11)
    with (
        TimedWorkspace(Path(bazel), Path(javac).resolve().parents[1]) as workspace,
        ServerProcess(OURS, *_TOOL_INPUTS) as server,
    ):
        workspace.lay_out_package("tiny", tiny)
        workspace.lay_out_package("slow", slow, start=_SLOW_START)
        for what, package, limit, is_cold in (
            (f"{tiny} tiny worker actions, warm", "tiny", 1.0, False),
            (f"{slow} actions of a tool with a 0.5 s start, warm", "slow", 0.9, False),
            (f"{slow} actions of a tool with a 0.5 s start, cold", "slow", 0.6, True),
        ):
            ours, local = _compare(
                workspace, server.endpoint, package, rounds=rounds, is_cold=is_cold
            )
            yield Figure(
                name=f"real Bazel, {what}",
                ours=ours,
                floor=local,
                floor_name="Bazel's own local worker strategy",
                target=limit,
                unit="s",
                samples=rounds,
            )


def _compare(
    workspace: TimedWorkspace, endpoint: str, package: str, *, rounds: int, is_cold: bool
) -> tuple[float, float]:
    """Medians of remote and local builds in turn; the first of each only warms up."""
    remote = (*_REMOTE, f"--remote_executor={endpoint}")
    ours, local = [], []
    for _ in range(rounds + 1):
        workspace.edit(package, tool=is_cold)
        ours.append(workspace.seconds(package, remote, where="remote"))
        workspace.edit(package, tool=is_cold)
        local.append(workspace.seconds(package, _LOCAL, where="worker"))
    return median(ours[1:]), median(local[1:])
