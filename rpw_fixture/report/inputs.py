"""Read what a report is made from: events files, the JSON of ``check``, and recordings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpw_fixture.errors import ConfigError
from rpw_fixture.events.kinds import Event
from rpw_fixture.hermeticity.findings.report import CheckState, Status
from rpw_fixture.report.check_shards import merged_shards
from rpw_fixture.report.recorded_rows import recorded
from rpw_fixture.report.run_rows import Row, RunRows
from rpw_fixture.storage.recording_folder import ACTIONS_FILE
from rpw_fixture.summary.event_files import read_events
from rpw_fixture.summary.model import summarize

_KINDS = "an events file, the JSON of check, or a folder made by --record"


@dataclass(slots=True, kw_only=True)
class Inputs:
    """The content of a report.

    Attributes:
        runs: a model of each server's run, see `run_rows`.
        checks: reports of ``check``, as its JSON has them, each with a ``name``.
        recordings: what recordings know of actions, see `recorded_rows`.
        problems: what is wrong with the inputs, as sentences for the reader.
    """

    runs: list[Row] = field(default_factory=list)
    checks: list[Row] = field(default_factory=list)
    recordings: list[Row] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def read(paths: Sequence[Path]) -> Inputs:
    """Return the content of files and folders of any of the three kinds.

    Raises:
        ConfigError: for a path that can't be read, or is of none of these kinds.
    """
    inputs = Inputs()
    for path, name in zip(paths, short_names(paths), strict=True):
        try:
            _read_one(inputs, path, name)
        except OSError as error:
            raise ConfigError(f"{path}: {error.strerror}") from None
    inputs.checks, missing = merged_shards(inputs.checks)
    inputs.problems += missing
    return inputs


def row_of(events: Sequence[Event], name: str) -> Row:
    """Return the model of one server's events, with the reasons that a summary gives."""
    rows = RunRows()
    for each in events:
        rows.add(each.as_dict())
    summary = summarize(events).as_dict()
    return rows.row(name) | {each: summary[each] for each in ("worker_starts", "one_shot")}


def check_row(report: Mapping[str, Any], name: str) -> Row:
    """Return the JSON of ``check`` with a name, and whether each code applies to what was checked."""
    checks = [{**each, "applicable": _is_applicable(each)} for each in report["checks"]]
    return {"name": name, **report, "checks": checks}


def _is_applicable(check: Mapping[str, Any]) -> bool:
    if check.get("status") != Status.SKIPPED:
        return True
    reason = str(check.get("reason") or "")
    return CheckState(code=check["code"], status=Status.SKIPPED, reason=reason).is_applicable


def short_names(paths: Sequence[Path]) -> list[str]:
    """Return a short name for each path: as many of its last parts as tell them apart."""
    names = [path.name or str(path) for path in paths]
    if len(set(names)) == len(names):
        return names
    return [str(path) for path in paths]


def _read_one(inputs: Inputs, path: Path, name: str) -> None:
    if path.is_dir():
        if not (path / ACTIONS_FILE).exists():
            raise ConfigError(f"{path}: not a recording (it has no {ACTIONS_FILE}); give {_KINDS}")
        row = recorded(path, name)
        inputs.recordings.append(row)
        inputs.problems += row.pop("notes")
        return
    data = path.read_bytes()
    report = _check_report(data)
    if report is not None:
        inputs.checks.append(check_row(report, name))
    elif data.strip():
        _add_events(inputs, path, name)
    else:
        inputs.problems.append(
            f"{name}: the log is empty: the server recorded no event, because it got no action, or "
            "its --events named another file"
        )


def _add_events(inputs: Inputs, path: Path, name: str) -> None:
    contents = read_events(path)
    inputs.problems += contents.problems
    count = len(contents.runs)
    if count > 1:
        inputs.problems.append(f"{name}: holds the runs of {count} servers; choose one at the top")
    for position, run in enumerate(contents.runs, start=1):
        title = name if count == 1 else f"{name} ({position} of {count})"
        row = row_of(run.events, title)
        inputs.runs.append(row)
        inputs.problems += [f"{title}: {each}" for each in row["notes"]]


def _check_report(data: bytes) -> Mapping[str, Any] | None:
    """Return the JSON of ``check``; None if it is something else."""
    if not data.startswith(b"{"):
        return None
    try:
        value = json.loads(data)
    except ValueError:
        return None
    if not isinstance(value, dict):
        return None
    parts = [value.get("checks"), value.get("findings")]
    return value if all(map(_have_codes, parts)) else None


def _have_codes(rows: object) -> bool:
    return isinstance(rows, list) and all(
        isinstance(each, dict) and "code" in each for each in rows
    )
