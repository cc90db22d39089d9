"""Reports of two runs of a check, compared without what differs between any two runs."""

from __future__ import annotations

import json
import re
from typing import Any

from rpw_fixture.hermeticity.findings.report import Report


def normal(text: str) -> str:
    """A text without what differs between two runs at home, too."""
    text = re.sub(r"\d+(?= sleep\b)", "PID", text)
    text = re.sub(r"[0-9a-f]{64}", "HASH", text)
    text = re.sub(r"/[^\s'\"]*/rpw_fixture-[\w-]+(/run-\d+)?", "RUN", text)
    return re.sub(r"\d+(\.\d+)?(?= ?(s|ms|[KM]iB)\b)", "N", text)


def comparable(report: Report) -> list[Any]:
    findings = [
        (
            *(each.code, each.severity, each.victim, each.polluters, each.outputs),
            *(normal(each.summary), normal(each.evidence)),
            [(normal(str(carrier)), carrier.is_confirmed) for carrier in each.carriers],
        )
        for each in report.findings
    ]
    states = [(each.code, each.status, normal(each.reason)) for each in report.checks]
    return [sorted(findings), states]


def comparable_text(report: Report) -> str:
    """All of a report that is judged or shown, as lines; without times, sizes and hashes."""
    value = report.as_dict()
    for name in ("seconds", "worker_starts", "requests", "trials", "trials_run", "growth"):
        value.pop(name, None)
    text = normal(json.dumps(value, indent=1))
    # The paths of the folders, which may be in outputs, have different lengths.
    return re.sub(r'("sizes": \[)[\d\s,]+', r"\1 ", text) if "RUN" in text else text
