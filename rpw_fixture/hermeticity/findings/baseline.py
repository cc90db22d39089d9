"""Baselines: files of accepted findings, so that a suite can be used before all bugs are fixed."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, Identity
from rpw_fixture.hermeticity.findings.report import Report

_SCHEMA = 1


def identity(finding: Finding) -> Identity:
    """Return what identifies a finding from run to run."""
    return Identity(
        finding.code, finding.victim, finding.polluters, finding.outputs, finding.factor
    )


def read(path: Path) -> frozenset[Identity]:
    """Return the findings that a file accepts.

    Raises:
        ConfigError: the file can't be read, or is not a baseline.
    """
    return frozenset(entry for entry, _ in _entries(path))


def find_stale(accepted: Collection[Identity], report: Report) -> tuple[Identity, ...]:
    """Return the accepted entries that match no finding of a report although their codes were judged."""
    if report.interruption is not None:
        return ()
    judged = {each.code for each in report.checks} - report.unjudged
    found = {identity(each) for each in (*report.findings, *report.accepted)}
    return tuple(sorted(each for each in accepted if each.code in judged and each not in found))


def write(path: Path, findings: Iterable[Finding]) -> None:
    """Write a file that accepts these findings, without infos, which never make ``check`` fail.

    Raises:
        EnvironmentLacksError: the file can't be written.
    """
    _write(path, list(map(_as_entry, _lasting(findings))), "--write-baseline")


def update(path: Path, report: Report) -> None:
    """Add the findings of a report to a baseline and remove its stale entries; keep all others.

    Raises:
        ConfigError: the file is not a baseline.
        EnvironmentLacksError: it can't be written.
    """
    found = {identity(each): _as_entry(each) for each in _lasting(report.findings)}
    old = _entries(path) if path.exists() else []
    kept = [entry for name, entry in old if name not in report.stale and name not in found]
    _write(path, [*kept, *found.values()], "--update-baseline")


def _lasting(findings: Iterable[Finding]) -> list[Finding]:
    return [each for each in findings if each.severity is not Severity.INFO]


def _entries(path: Path) -> list[tuple[Identity, dict[str, Any]]]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        return [(_identity_of(each), each) for each in document["accepted"]]
    except OSError as error:
        raise ConfigError(f"--baseline {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"--baseline {path}: not a baseline file; write one with --write-baseline"
        ) from None


def _identity_of(entry: dict[str, Any]) -> Identity:
    return Identity(
        entry["code"],
        entry["victim"],
        tuple(entry["polluters"]),
        tuple(entry["outputs"]),
        entry.get("factor", ""),
    )


def _as_entry(finding: Finding) -> dict[str, Any]:
    return {
        "code": finding.code,
        "victim": finding.victim,
        "polluters": list(finding.polluters),
        "outputs": list(finding.outputs),
        **({"factor": finding.factor} if finding.factor else {}),
        "summary": finding.summary,
    }


def _write(path: Path, entries: list[dict[str, Any]], option: str) -> None:
    text = json.dumps({"schema": _SCHEMA, "accepted": entries}, indent=2, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentLacksError(f"{option} {path}: {error.strerror}") from None
