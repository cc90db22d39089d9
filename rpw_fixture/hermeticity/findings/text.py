"""Findings as readable text: grouped by check, coloured on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TextIO

from rpw_fixture.hermeticity.findings.codes import CODES, Severity
from rpw_fixture.hermeticity.findings.finding import CachePoisoning, Finding, Report, Status
from rpw_fixture.support.plurals import counted

_RED, _YELLOW, _GREEN, _BLUE, _BOLD, _DIM = "31", "33", "32", "34", "1", "2"
_COLOURS = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.INFO: _BLUE}


def render(report: Report, *, is_coloured: bool = False) -> str:
    """Return the report as text, ending with a line break."""
    paint = _Paint(is_coloured)
    lines: list[str] = []
    for code in dict.fromkeys(each.code for each in report.findings):
        lines.append(paint(f"{code} {CODES[code].name}", _BOLD))
        for finding in report.findings:
            if finding.code == code:
                lines += _finding(finding, paint)
        if any(
            each.code == code and each.severity is not Severity.INFO for each in report.findings
        ):
            lines.append(paint(f"  Fix: {CODES[code].remedy}", _DIM))
        lines.append("")
    skipped = [each for each in report.checks if each.status is Status.SKIPPED]
    if skipped:
        lines.append(paint("not checked", _BOLD))
        lines += [f"  {each.code} {CODES[each.code].name}: {each.reason}" for each in skipped]
        lines.append("")
    if report.poisoning is not None:
        lines += [paint("cache poisoning", _BOLD), *_poisoning(report.poisoning), ""]
    lines.append(_total(report, paint))
    return "\n".join(lines) + "\n"


def is_coloured(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether colours are wanted on a stream (see no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


class _Paint:
    def __init__(self, is_on: bool) -> None:
        self._is_on = is_on

    def __call__(self, text: str, *colours: str) -> str:
        return f"\033[{';'.join(colours)}m{text}\033[0m" if self._is_on else text


def _finding(finding: Finding, paint: _Paint) -> Iterable[str]:
    yield f"  {paint(str(finding.severity), _COLOURS[finding.severity])}: {finding.summary}"
    if finding.polluters:
        yield f"    polluters: {', '.join(finding.polluters)}"
    if finding.outputs:
        yield f"    outputs: {', '.join(finding.outputs)}"
    for line in finding.evidence.splitlines():
        yield f"    {line}"
    if finding.reproducer is not None:
        yield f"    reproducer: {finding.reproducer}"


def _poisoning(poisoning: CachePoisoning) -> Iterable[str]:
    yield (
        f"  wrong action-cache entries after the recorded history: {len(poisoning.actions)} of "
        f"{poisoning.entries}"
    )
    yield from (f"    {each}" for each in poisoning.actions)
    if poisoning.reason:
        yield f"  not everything was compared: {poisoning.reason}"


def _total(report: Report, paint: _Paint) -> str:
    errors = sum(each.severity is Severity.ERROR for each in report.findings)
    others = len(report.findings) - errors
    passed = sum(each.status is Status.PASSED for each in report.checks)
    verdict = paint(counted(errors, "error"), _RED) if errors else paint("no errors", _GREEN)
    if others:
        verdict += f", {counted(others, 'other finding')}"
    if report.accepted:
        verdict += f", {len(report.accepted)} accepted by the baseline"
    return (
        f"{verdict}; {passed} of {counted(len(report.checks), 'check')} passed on "
        f"{counted(report.actions, 'action')}, with {counted(report.worker_starts, 'worker start')} "
        f"and {counted(report.requests, 'request')} in {report.seconds:.1f} s"
    )
