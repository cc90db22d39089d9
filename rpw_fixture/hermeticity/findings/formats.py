"""Report formats for programs: JSON, JUnit XML and GitHub workflow commands."""

from __future__ import annotations

import json
from xml.etree import ElementTree as ET

from rpw_fixture.hermeticity.findings import carrier
from rpw_fixture.hermeticity.findings.codes import CODES, Severity, page_url
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.places import in_checkout
from rpw_fixture.hermeticity.findings.report import CheckState, Report, Status

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}
#: XML 1.0 can't contain these characters.
_FORBIDDEN = {number: "�" for number in range(32) if chr(number) not in "\t\n\r"}


def as_json(report: Report) -> str:
    """Return the report as a JSON object."""
    return json.dumps(report.as_dict(), indent=2, ensure_ascii=False) + "\n"


def as_junit(report: Report) -> str:
    """Return the report as a JUnit file with a test case for each check."""
    failed = sum(each.status is Status.FAILED for each in report.checks)
    skipped = sum(each.status is Status.SKIPPED for each in report.checks)
    suite = ET.Element(
        "testsuite",
        name="rpw_fixture check",
        tests=str(len(report.checks)),
        failures=str(failed),
        errors="0",
        skipped=str(skipped),
        time=f"{report.seconds:.3f}",
    )
    for state in report.checks:
        _add_case(suite, state, [each for each in report.findings if each.code == state.code])
    ET.indent(suite)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{ET.tostring(suite, encoding="unicode")}\n'


def as_github(report: Report) -> str:
    """Return a workflow command for each finding, which GitHub shows as an annotation."""
    lines = [
        f"::{_LEVELS[each.severity]} {_properties(report, each)}::{_message(each)}"
        for each in report.findings
    ]
    return "".join(f"{line}\n" for line in lines)


def _properties(report: Report, finding: Finding) -> str:
    place = report.place_of(finding)
    where = f"file={_property(in_checkout(place.path))},line={place.line}," if place else ""
    return f"{where}title={_property(_title(finding))}"


def _add_case(suite: ET.Element, state: CheckState, findings: list[Finding]) -> None:
    case = ET.SubElement(
        suite, "testcase", classname="rpw_fixture.check", name=f"{state.code} {_name(state.code)}"
    )
    if state.status is Status.SKIPPED:
        ET.SubElement(case, "skipped", message=_clean(state.reason))
    if state.status is Status.FAILED:
        failure = ET.SubElement(case, "failure", message=_clean(findings[0].summary))
        failure.text = _clean("\n\n".join(_full(each) for each in findings))
    elif findings:
        ET.SubElement(case, "system-out").text = _clean("\n\n".join(map(_full, findings)))


def _name(code: str) -> str:
    return CODES[code].name


def _title(finding: Finding) -> str:
    return f"{finding.code} {_name(finding.code)}"


def _full(finding: Finding) -> str:
    lines = [f"{finding.severity}: {finding.summary}", *carrier.lines(finding.carriers)]
    lines.append(finding.evidence)
    lines.append(f"see {page_url(finding.code)}")
    if finding.reproducer is not None:
        lines.append(f"reproducer: {finding.reproducer}")
    return "\n".join(each for each in lines if each)


def _message(finding: Finding) -> str:
    return _full(finding).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    escaped = text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
    return escaped.replace(":", "%3A").replace(",", "%2C")


def _clean(text: str) -> str:
    return text.translate(_FORBIDDEN).encode(errors="replace").decode()
