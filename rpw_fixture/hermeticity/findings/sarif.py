"""Reports as SARIF 2.1.0, which code-scanning services such as GitHub's read.

Format: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import quote

from rpw_fixture._version import __version__
from rpw_fixture.hermeticity.findings import baseline, carrier
from rpw_fixture.hermeticity.findings.codes import CODES, Severity, page_url
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.places import in_checkout
from rpw_fixture.hermeticity.findings.report import Report

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/os/schemas/sarif-schema-2.1.0.json"
_HOME = "https://github.com/rpw-fixture/rpw_fixture"
_PROPERTIES = ("victim", "polluters", "outputs", "reproducer", "carriers")
_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def as_sarif(report: Report) -> str:
    """Return the report as a SARIF log with one run; findings of the baseline are suppressed."""
    codes = sorted({each.code for each in (*report.findings, *report.accepted)})
    run = {
        "tool": {
            "driver": {
                "name": "rpw_fixture check",
                "version": __version__,
                "informationUri": _HOME,
                "rules": [_rule(code) for code in codes],
            }
        },
        "invocations": [_invocation(report)],
        "columnKind": "unicodeCodePoints",
        "results": [
            *(_result(report, each, codes) for each in report.findings),
            *(
                {**_result(report, each, codes), "suppressions": [{"kind": "external"}]}
                for each in report.accepted
            ),
        ],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False) + "\n"


def _invocation(report: Report) -> dict[str, Any]:
    if report.interruption is None:
        return {"executionSuccessful": True, "exitCode": int(report.has_errors)}
    return {"executionSuccessful": False, "exitSignalName": report.interruption.signal_name}


def _rule(code: str) -> dict[str, Any]:
    entry = CODES[code]
    words = "".join(word.capitalize() for word in entry.name.split("-"))
    return {
        "id": code,
        "name": words,
        "shortDescription": {"text": entry.meaning},
        "fullDescription": {"text": f"{entry.meaning} {entry.example}"},
        "help": {"text": f"{entry.remedy}", "markdown": f"**Fix:** {entry.remedy}"},
        "helpUri": page_url(code),
    }


def _result(report: Report, finding: Finding, codes: list[str]) -> dict[str, Any]:
    return {
        "ruleId": finding.code,
        "ruleIndex": codes.index(finding.code),
        "level": _LEVELS[finding.severity],
        "message": {"text": "\n".join(_texts(finding))},
        "locations": [_location(report, finding)],
        "partialFingerprints": {"rpwFixture/v1": _fingerprint(finding)},
        "properties": _properties(finding),
    }


def _texts(finding: Finding) -> Iterable[str]:
    yield finding.summary
    yield from carrier.lines(finding.carriers)
    if finding.evidence:
        yield finding.evidence


def _location(report: Report, finding: Finding) -> dict[str, Any]:
    location: dict[str, Any] = {}
    place = report.place_of(finding)
    if place is not None:
        location["physicalLocation"] = {
            "artifactLocation": _artifact(in_checkout(place.path)),
            "region": {"startLine": place.line},
        }
    if finding.victim:
        location["logicalLocations"] = [{"name": finding.victim, "kind": "action"}]
    return location


def _artifact(path: str) -> Mapping[str, str]:
    if posixpath.isabs(path):
        return {"uri": f"file://{quote(path)}"}
    return {"uri": quote(path), "uriBaseId": "%SRCROOT%"}


def _fingerprint(finding: Finding) -> str:
    """Return what stays the same from run to run, so that a service recognises the finding."""
    text = json.dumps(baseline.identity(finding))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def _properties(finding: Finding) -> dict[str, object]:
    fields = finding.as_dict()
    return {name: fields[name] for name in _PROPERTIES}
