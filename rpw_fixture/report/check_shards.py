"""The parts of one check that several machines made with ``check --shard I/N``, as one report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpw_fixture.report.run_rows import Row

#: A code has failed if it has in any part, else it has passed if it has in any.
_WORST = ("failed", "passed", "skipped")
_LISTS = ("findings", "accepted", "growth", "accesses")
_SUMS = ("actions", "worker_starts", "requests", "trials", "trials_run")


def merged_shards(checks: Sequence[Row]) -> tuple[list[Row], list[str]]:
    """Return the reports with all parts of a check in one, and what is missing, as sentences."""
    rows = [each for each in checks if not each.get("shard")]
    groups: dict[str, list[Row]] = {}
    for each in checks:
        if each.get("shard"):
            groups.setdefault(str(each["shard"]).partition("/")[2], []).append(each)
    problems = []
    for count, parts in groups.items():
        rows.append(_merged(parts))
        wanted = {f"{number}/{count}" for number in range(1, int(count) + 1)}
        if missing := sorted(wanted - {each["shard"] for each in parts}):
            problems.append(
                f"the check is incomplete: the report of --shard {', '.join(missing)} is missing"
            )
    return rows, problems


def _merged(parts: Sequence[Row]) -> Row:
    row: dict[str, Any] = {**parts[0], "name": ", ".join(each["name"] for each in parts)}
    del row["shard"]
    for name in _SUMS:
        row[name] = sum(each.get(name, 0) for each in parts)
    for name in _LISTS:
        if any(name in each for each in parts):
            row[name] = [one for each in parts for one in each.get(name, [])]
    row["seconds"] = max(each.get("seconds", 0.0) for each in parts)
    states: dict[str, Any] = {}
    for state in (state for each in parts for state in each["checks"]):
        known = states.setdefault(state["code"], state)
        if _WORST.index(state["status"]) < _WORST.index(known["status"]):
            states[state["code"]] = state
    row["checks"] = [states[code] for code in sorted(states)]
    return row
