"""A folder as the argument of ``check``: a recording, the folder of a suite, or a reproducer."""

from __future__ import annotations

import json
from pathlib import Path

from rpw_fixture.storage.recording_folder import ACTIONS_FILE

_SUITE = "suite.toml"
#: A folder with this file is a reproducer; with `HISTORY` too, its requests are replayed.
_FINDING = "finding.json"
HISTORY = "history.json"


def suite_in(path: Path) -> Path:
    """Return the suite file of a folder that is not a recording; any other path as it is."""
    is_suite = not (path / ACTIONS_FILE).exists() and (path / _SUITE).is_file()
    return path / _SUITE if is_suite else path


def reproduced_code(path: Path) -> str | None:
    """Return the code that a reproducer without a history shows; None for everything else."""
    try:
        finding = json.loads((path / _FINDING).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return str(finding["code"]) if isinstance(finding, dict) and "code" in finding else None
