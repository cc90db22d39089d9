"""Baselines: files of accepted findings, so that a suite can be used before all bugs are fixed."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding

_SCHEMA = 1

#: The code, victim, polluters, outputs and factor of a finding.
Identity = tuple[str, str, tuple[str, ...], tuple[str, ...], str]


def identity(finding: Finding) -> Identity:
    """Return what identifies a finding from run to run."""
    return finding.code, finding.victim, finding.polluters, finding.outputs, finding.factor


def read(path: Path) -> frozenset[Identity]:
    """Return the findings that a file accepts.

    Raises:
        ConfigError: the file can't be read, or is not a baseline.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = document["accepted"]
        return frozenset(
            (
                each["code"],
                each["victim"],
                tuple(each["polluters"]),
                tuple(each["outputs"]),
                each.get("factor", ""),
            )
            for each in entries
        )
    except OSError as error:
        raise ConfigError(f"--baseline {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ConfigError(
            f"--baseline {path}: not a baseline file; write one with --write-baseline"
        ) from None


def write(path: Path, findings: Iterable[Finding]) -> None:
    """Write a file that accepts these findings, without infos, which never make ``check`` fail.

    Raises:
        EnvironmentLacksError: the file can't be written.
    """
    entries = [
        {
            "code": each.code,
            "victim": each.victim,
            "polluters": list(each.polluters),
            "outputs": list(each.outputs),
            "summary": each.summary,
            **({"factor": each.factor} if each.factor else {}),
        }
        for each in findings
        if each.severity is not Severity.INFO
    ]
    text = json.dumps({"schema": _SCHEMA, "accepted": entries}, indent=2, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentLacksError(f"--write-baseline {path}: {error.strerror}") from None
