"""The first line of a finding: code, victim, cause, in 80 columns."""

from __future__ import annotations

from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.findings.finding import Finding

WIDTH = 80
#: The least room for a cause; a longer victim's name is cut.
_CAUSE = 20
_ELLIPSIS = "…"


def headline(finding: Finding) -> str:
    """Return the line, such as ``RPW202 state-leak: bye after hello``."""
    start = f"{finding.code} {CODES[finding.code].name}: "
    because = cause(finding)
    if finding.victim and (finding.victim not in because or _has_short_cause(finding)):
        colon = "" if _has_short_cause(finding) else ":"
        start += shortened(finding.victim, WIDTH - len(start) - _CAUSE - 2) + colon + " "
    return start + shortened(because, WIDTH - len(start))


def cause(finding: Finding) -> str:
    """Return what causes the bug, in a few words if it has polluters or a factor."""
    if finding.polluters:
        return f"after {finding.polluters_in_words}"
    return f"on {finding.factor}" if finding.factor else finding.summary


def _has_short_cause(finding: Finding) -> bool:
    return bool(finding.polluters or finding.factor)


def shortened(text: str, width: int) -> str:
    """Return a text in one line of at most ``width`` characters, cut at a space if one is near."""
    text = " ".join(text.split())
    if len(text) <= width:
        return text
    kept = text[: max(0, width - 1)]
    at_space = kept.rpartition(" ")[0]
    return (at_space if len(at_space) > width * 2 // 3 else kept).rstrip(" ,:;") + _ELLIPSIS
