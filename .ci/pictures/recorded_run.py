"""A real build with planted leaks, and the check of what was recorded of it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from pictures import build

_ROOT = Path(__file__).resolve().parents[2]


def make(folder: Path, *, actions: int, checked: int) -> tuple[Path, Path]:
    """Build and check; return the events file and the JSON of check.

    Args:
        folder: takes everything.
        actions: number of actions of the build.
        checked: number of actions of each mnemonic that are checked, which takes a while.
    """
    log, recording, check = folder / "build.jsonl", folder / "recording", folder / "check.json"
    options = ("--events", str(log), "--record", str(recording))
    limits = ("--max-workers-per-key", "2", "--worker-max-requests", "25")
    code = build.build(folder / "bazel", count=actions, options=(*options, *limits))
    if code != 0:
        raise SystemExit(f"the build failed with exit code {code}")
    _keep_some(recording / "actions.jsonl", checked)
    command = (sys.executable, "-m", "rpw_fixture", "check", str(recording))
    subprocess.run(
        [*command, "--format", f"json={check}"],
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
        stdout=subprocess.DEVNULL,
        check=False,
    )
    return log, check


def _keep_some(path: Path, most: int) -> None:
    """Keep the first actions of each mnemonic."""
    counts: dict[str, int] = {}
    kept = []
    for line in path.read_text(encoding="utf-8").splitlines():
        mnemonic = json.loads(line)["mnemonic"]
        counts[mnemonic] = counts.get(mnemonic, 0) + 1
        if counts[mnemonic] <= most:
            kept.append(f"{line}\n")
    path.write_text("".join(kept), encoding="utf-8")
