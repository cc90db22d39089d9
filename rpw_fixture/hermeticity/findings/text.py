"""Reports as readable text, coloured on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TextIO

from rpw_fixture.hermeticity.findings import alike, carrier, totals
from rpw_fixture.hermeticity.findings.codes import CODES, Severity, page_url
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.headline import headline
from rpw_fixture.hermeticity.findings.report import CachePoisoning, Report

_RED, _YELLOW, _GREEN, _BLUE, _BOLD, _DIM = "31", "33", "32", "34", "1", "2"
_COLOURS = {Severity.ERROR: _RED, Severity.WARNING: _YELLOW, Severity.INFO: _BLUE}


def render(report: Report, *, is_coloured: bool = False) -> str:
    """Return the report as text, ending with a line break."""
    paint = Paint(is_coloured)
    lines: list[str] = []
    for code in dict.fromkeys(each.code for each in report.findings):
        findings = [each for each in report.findings if each.code == code]
        for group in alike.groups(findings):
            lines += [*shown(group[0], paint), *_others(group)]
        if any(each.severity is not Severity.INFO for each in findings):
            lines.append(paint(f"  Fix: {CODES[code].remedy}", _DIM))
        lines += [paint(f"  See: {page_url(code)}", _DIM), ""]
    lines += _skipped(report, paint)
    if report.stale:
        lines.append(
            paint("not found again; delete from the baseline, or --update-baseline", _BOLD)
        )
        lines += [*(f"  {each}" for each in report.stale), ""]
    if report.poisoning is not None:
        lines += [paint("cache poisoning", _BOLD), *_poisoning(report.poisoning), ""]
    lines.append(_total(report, paint))
    lines += [each for each in [report.trials.in_words()] if each]
    return "\n".join(lines) + "\n"


def _skipped(report: Report, paint: Paint) -> Iterable[str]:
    """Yield what could not be judged and what does not apply, a line for each reason."""
    missed, inapplicable = totals.unjudged(report.checks), totals.inapplicable(report.checks)
    if missed:
        yield paint("not checked", _BOLD)
        for reason in dict.fromkeys(each.reason for each in missed):
            some = [each.code for each in missed if each.reason == reason]
            name = f"{some[0]} {CODES[some[0]].name}" if len(some) == 1 else ", ".join(some)
            yield f"  {name}: {reason}"
    for reason in dict.fromkeys(each.reason for each in inapplicable):
        codes = ", ".join(each.code for each in inapplicable if each.reason == reason)
        yield paint(f"not applicable: {codes} ({reason})", _DIM)
    if missed or inapplicable:
        yield ""


def is_coloured(stream: TextIO, environ: Mapping[str, str]) -> bool:
    """Return whether colours are wanted on a stream (see no-color.org)."""
    return stream.isatty() and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"


def painted(text: str, severity: Severity) -> str:
    """Return a text in the colour of a severity."""
    return Paint(is_on=True)(text, _COLOURS[severity])


class Paint:
    """Puts colours around texts, or leaves them as they are."""

    def __init__(self, is_on: bool) -> None:
        self._is_on = is_on

    def __call__(self, text: str, *colours: str) -> str:
        """Return the text in these colours (SGR numbers)."""
        return f"\033[{';'.join(colours)}m{text}\033[0m" if self._is_on else text


def shown(finding: Finding, paint: Paint) -> Iterable[str]:
    """Yield the lines about a finding; the first one has code, victim and cause, the next the carrier."""
    yield paint(headline(finding), _BOLD)
    if text := carrier.confirmed(finding.carriers):
        yield f"  {text}"
    yield f"  {paint(str(finding.severity), _COLOURS[finding.severity])}: {finding.summary}"
    if finding.polluters:
        yield f"    polluters: {finding.polluters_in_words}"
    if finding.outputs:
        yield f"    outputs: {', '.join(finding.outputs)}"
    for line in (*carrier.suspected(finding.carriers), *finding.evidence.splitlines()):
        yield f"    {line}"
    if finding.reproducer is not None:
        yield f"    reproducer: {finding.reproducer}"


def _others(group: Sequence[Finding]) -> Iterable[str]:
    """Yield who else has the bug, and how to see it there."""
    if text := alike.others_in_words(group):
        yield f"    {text}"
    for each in group[1:]:
        if each.reproducer is not None:
            yield f"    reproducer for {each.victim}: {each.reproducer}"


def _poisoning(poisoning: CachePoisoning) -> Iterable[str]:
    yield (
        f"  wrong action-cache entries after the recorded history: {len(poisoning.actions)} of "
        f"{poisoning.entries}"
    )
    yield from (f"    {each}" for each in poisoning.actions)
    if poisoning.reason:
        yield f"  not everything was compared: {poisoning.reason}"


def _total(report: Report, paint: Paint) -> str:
    colour = _RED if report.has_errors else _GREEN
    return f"{paint(totals.verdict(report), colour)}; {totals.totals(report)}"
