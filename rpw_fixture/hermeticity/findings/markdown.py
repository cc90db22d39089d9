"""Reports as Markdown, fit for the summary of a CI job."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.findings import alike, carrier, totals
from rpw_fixture.hermeticity.findings.codes import CODES, Severity, page_url
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.headline import cause
from rpw_fixture.hermeticity.findings.report import CheckState, Report
from rpw_fixture.support.plurals import counted

_SYMBOLS = {Severity.ERROR: "❌ error", Severity.WARNING: "⚠️ warning", Severity.INFO: "ℹ️ info"}
#: GitHub refuses a summary above 1 MiB; evidence beyond this many characters is cut.
_MOST_EVIDENCE = 4000
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def as_markdown(report: Report) -> str:
    """Return the report: a verdict, a table of findings, and details that unfold."""
    lines = [f"### check: {totals.verdict(report)}", "", totals.totals(report), ""]
    if report.findings:
        lines += [
            "| | code | victim | cause |",
            "|---|---|---|---|",
            *(_row(each) for each in report.findings),
            "",
        ]
    for group in alike.groups(report.findings):
        lines += _details(group)
    if report.stale:
        lines += ["Not found again; delete from the baseline, or `--update-baseline`:", ""]
        lines += [*(f"- {_escaped(str(each))}" for each in report.stale), ""]
    lines += _states(report.checks)
    return "\n".join(lines).rstrip("\n") + "\n"


def _row(finding: Finding) -> str:
    link = f"[{finding.code}]({page_url(finding.code)})"
    code = f"{link} {CODES[finding.code].name}"
    cells = (_SYMBOLS[finding.severity], code, _escaped(finding.victim), _escaped(cause(finding)))
    return f"| {' | '.join(cells)} |"


def _details(group: Sequence[Finding]) -> Iterator[str]:
    finding = group[0]
    yield f"<details><summary>{finding.code}: {_html(finding.summary)}</summary>"
    yield ""
    for line in carrier.lines(finding.carriers):
        yield from (f"- {_escaped(line)}", "")
    if finding.evidence:
        yield from _fenced(finding.evidence)
    if others := alike.others_in_words(group):
        yield from (_escaped(others), "")
    yield f"**Fix:** {_escaped(CODES[finding.code].remedy)}"
    for each in group:
        if each.reproducer is not None:
            yield ""
            yield f"**Reproducer:** `{each.reproducer}`"
    yield ""
    yield "</details>"
    yield ""


def _fenced(text: str) -> Iterator[str]:
    if len(text) > _MOST_EVIDENCE:
        text = f"{text[:_MOST_EVIDENCE]}\n… {len(text) - _MOST_EVIDENCE} more characters"
    longest = max((len(each) for each in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    yield from (f"{fence}text", text, fence, "")


def _states(checks: Sequence[CheckState]) -> Iterator[str]:
    for title, some in (
        ("not checked", totals.unjudged(checks)),
        ("not applicable", totals.inapplicable(checks)),
    ):
        if some:
            yield f"<details><summary>{counted(len(some), 'check')} {title}</summary>"
            yield ""
            for each in some:
                yield f"- {each.code} {CODES[each.code].name}: {_escaped(each.reason)}"
            yield from ("", "</details>", "")


def _escaped(text: str) -> str:
    """Return text that Markdown shows as it is, in one line."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
