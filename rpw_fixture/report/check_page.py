"""The page of one run of ``check``."""

from __future__ import annotations

from pathlib import Path

from rpw_fixture.hermeticity.findings.report import Report
from rpw_fixture.report import page
from rpw_fixture.report.inputs import Inputs, check_row


def render(report: Report) -> str:
    """Return the page as HTML."""
    place = report.places.get("")
    name = Path(place.path).name if place is not None else "check"
    names = {"action_names": list(report.action_names)}
    return page.render(Inputs(checks=[check_row(names | report.as_dict(), name)]))
