"""Read events files tolerantly: torn lines, several servers in one file, older and newer versions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any

from rpw_fixture.report.run_rows import Row, RunRows

_STARTED = "server_started"


def runs_of(lines: Iterable[bytes | str], name: str) -> Iterator[Row]:
    """Yield a model of each run in an events file.

    A run begins with ``server_started``; in files of older versions, where the numbers begin again.

    Args:
        lines: lines of the file.
        name: name of the file, for the reader.
    """
    runs: list[RunRows] = []
    broken: list[int] = []
    number, last = 0, 0
    for number, line in enumerate(lines, start=1):
        event = _event(line)
        if event is None:
            if line.strip():
                broken.append(number)
            continue
        if not runs or event["event"] == _STARTED or event["seq"] < last:
            runs.append(RunRows())
        last = event["seq"]
        runs[-1].add(event)
    if not runs and broken:
        runs.append(RunRows())
    if runs:
        runs[-1].notes += _about(broken, number)
    for position, rows in enumerate(runs, start=1):
        yield rows.row(name if len(runs) == 1 else f"{name} ({position} of {len(runs)})")


def _event(line: bytes | str) -> dict[str, Any] | None:
    """Return the event in a line; None for a line that has none."""
    try:
        value = json.loads(line)
    except ValueError:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("event"), str):
        return None
    is_numbered = isinstance(value.get("seq"), int) and isinstance(value.get("time"), int | float)
    return value if is_numbered else None


def _about(broken: list[int], last: int) -> Iterator[str]:
    """Yield sentences about lines that are no events."""
    if broken and broken[-1] == last:
        broken = broken[:-1]
        yield f"the last line ({last}) is torn: the server was killed, or still writes"
    if broken:
        count = "1 line is" if len(broken) == 1 else f"{len(broken)} lines are"
        yield f"{count} no event and left out; the first is line {broken[0]}"
