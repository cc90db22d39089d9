"""Read what a report is made from: events files, the JSON of ``check``, and recordings."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rpw_fixture.errors import ConfigError
from rpw_fixture.execution.recorder import ACTIONS_FILE
from rpw_fixture.report.event_lines import runs_of
from rpw_fixture.report.recorded_rows import recorded
from rpw_fixture.report.run_rows import Row

_KINDS = "an events file, the JSON of check, or a folder made by --record"


@dataclass(slots=True, kw_only=True)
class Inputs:
    """What a report shows.

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
    return inputs


def add_events(inputs: Inputs, lines: Iterable[bytes | str], name: str) -> None:
    """Add every run of an events file, and say what is wrong with it."""
    before = len(inputs.runs)
    for run in runs_of(lines, name):
        inputs.runs.append(run)
        inputs.problems += [f"{run['name']}: {each}" for each in run["notes"]]
    count = len(inputs.runs) - before
    if count == 0:
        inputs.problems.append(
            f"{name}: the log is empty: the server wrote no event to it, because nothing was built "
            "or --events named another file"
        )
    elif count > 1:
        inputs.problems.append(f"{name}: holds the runs of {count} servers, one after the other")


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
    with path.open("rb") as file:
        report = _check_report(path, file.read(1))
        if report is not None:
            inputs.checks.append({"name": name, **report})
            return
        file.seek(0)
        add_events(inputs, _known(file, path), name)


def _check_report(path: Path, first: bytes) -> Mapping[str, Any] | None:
    """Return the JSON of ``check`` in a file; None if the file has something else."""
    if first != b"{":
        return None
    try:
        value = json.loads(path.read_bytes())
    except ValueError:
        return None
    is_report = isinstance(value, dict) and {"checks", "findings"} <= value.keys()
    return value if is_report else None


def _known(lines: Iterable[bytes], path: Path) -> Iterator[bytes]:
    """Yield the lines of a file; raise if its first line is nothing that any version writes."""
    is_first = True
    for line in lines:
        if is_first and line.strip():
            is_first = False
            if not line.lstrip().startswith(b'{"'):
                raise ConfigError(f"{path}: its first line is not JSON; give {_KINDS}")
        yield line
