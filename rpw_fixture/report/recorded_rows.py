"""Details of actions that a recording has beyond the log: command, environment, flagfile, inputs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpw_fixture.hermeticity.suites.recording import ActionNames
from rpw_fixture.report.run_figures import Row
from rpw_fixture.storage.recording_folder import ACTIONS_FILE

_KEPT = (
    *("mnemonic", "target", "key", "pool", "protocol", "abilities", "command", "environment"),
    *("working_directory", "timeout", "arguments", "flagfiles", "outputs", "exit_code"),
)


def recorded(folder: Path, name: str) -> Row:
    """Return the actions of a recording by digest; lines that can't be read are noted.

    The name of an action is the one that ``check`` gives it. Inputs are numbers of lines in
    ``files``, because most actions share them.

    Raises:
        OSError: if the recording can't be read.
    """
    files: dict[tuple[str, str, bool], int] = {}
    actions: dict[str, Row] = {}
    notes = []
    names = ActionNames()
    lines = (folder / ACTIONS_FILE).read_bytes().splitlines()
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            name_of_action = names.take(fields)
            row = _row(fields, files) | {"name": name_of_action}
            actions.setdefault(fields["action"], row)
        except (ValueError, KeyError, TypeError) as error:
            torn = " (the last one: it may be torn)" if number == len(lines) else ""
            notes.append(f"{name}: line {number} is no recorded action{torn}: {error!r}")
    if not actions:
        notes.append(f"{name}: the recording holds no action that ran on a worker")
    return {"name": name, "files": list(files), "actions": actions, "notes": notes}


def _row(fields: Mapping[str, Any], files: dict[tuple[str, str, bool], int]) -> Row:
    row: Row = {each: fields.get(each) for each in _KEPT}
    row["made"] = [[each["path"], each["digest"]] for each in fields.get("made", ())]
    row["inputs"] = [files.setdefault(_file(each), len(files)) for each in fields.get("inputs", ())]
    return row


def _file(entry: Mapping[str, Any]) -> tuple[str, str, bool]:
    what = (
        f"-> {entry['target']}" if "target" in entry else entry.get("digest") or "an empty folder"
    )
    return entry["path"], what, bool(entry.get("tool"))
