"""The parts of one check that several machines made with ``check --shard I/N``, as one report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rpw_fixture.hermeticity.findings.report import CheckState, Status
from rpw_fixture.report.run_rows import Row

_FINDINGS = ("findings", "accepted")
_LISTS = (*_FINDINGS, "growth", "accesses")
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
    row["actions"] -= sum(each.get("counted_elsewhere", 0) for each in parts)
    row.pop("counted_elsewhere", None)
    for name in _LISTS:
        if any(name in each for each in parts):
            row[name] = [one for each in parts for one in each.get(name, [])]
    row["seconds"] = max(each.get("seconds", 0.0) for each in parts)
    for name in {*_FINDINGS} & {*row}:
        row[name] = list({_identity(each): each for each in reversed(row[name])}.values())[::-1]
    row["checks"] = _states([state for each in parts for state in each["checks"]])
    return row


def _identity(finding: Row) -> tuple[object, ...]:
    """Return what identifies a finding; parts that share a worker may find the same."""
    names = ("polluters", "outputs")
    lists = (tuple(finding.get(each, ())) for each in names)
    is_advice = finding.get("severity") == "info"
    return finding["code"], is_advice, finding.get("victim"), *lists, finding.get("factor")


def _states(states: Sequence[Row]) -> list[Row]:
    """Return the state of each code: the worst one; a code that a part could not judge has not passed."""
    found: dict[str, list[Row]] = {}
    for each in states:
        found.setdefault(each["code"], []).append(each)
    return [min(found[code], key=_rank) for code in sorted(found)]


def _rank(state: Row) -> int:
    status, reason = Status(state["status"]), state.get("reason", "")
    return CheckState(code=state["code"], status=status, reason=reason).rank
