"""Files of accepted findings, so that a suite can be adopted before everything in it is mended."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding

_SCHEMA = 1

#: Code, victim, polluters and outputs.
Identity = tuple[str, str, tuple[str, ...], tuple[str, ...]]


def identity(finding: Finding) -> Identity:
    """What makes a finding the same one in another run."""
    return finding.code, finding.victim, finding.polluters, finding.outputs


def read(path: Path) -> frozenset[Identity]:
    """The findings accepted in a file.

    Raises:
        ConfigError: when it can't be read, or is no baseline.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        entries = document["accepted"]
        return frozenset(
            (each["code"], each["victim"], tuple(each["polluters"]), tuple(each["outputs"]))
            for each in entries
        )
    except OSError as error:
        raise ConfigError(f"--baseline {path}: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise ConfigError(
            f"--baseline {path}: no baseline file; write one with --write-baseline"
        ) from None


def write(path: Path, findings: Iterable[Finding]) -> None:
    """Writes a file that accepts these findings; info needs no accepting, as it fails nothing.

    Raises:
        EnvironmentLacksError: when it can't be written.
    """
    entries = [
        {
            "code": each.code,
            "victim": each.victim,
            "polluters": list(each.polluters),
            "outputs": list(each.outputs),
            "summary": each.summary,
        }
        for each in findings
        if each.severity is not Severity.INFO
    ]
    text = json.dumps({"schema": _SCHEMA, "accepted": entries}, indent=2, ensure_ascii=False)
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise EnvironmentLacksError(f"--write-baseline {path}: {error.strerror}") from None
