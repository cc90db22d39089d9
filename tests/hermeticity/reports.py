"""Reports of two runs of a check, compared without what differs between any two runs."""

from __future__ import annotations

import re
from typing import Any

from rpw_fixture.hermeticity.findings.finding import Report


def normal(text: str) -> str:
    """A text without what differs between two runs at home, too."""
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
