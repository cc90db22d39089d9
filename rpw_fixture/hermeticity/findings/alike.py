"""Findings that say the same of several actions: readers get one of them, and a list of the others."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from rpw_fixture.hermeticity.findings.finding import Finding

_VICTIM, _OUTPUT = "\0victim", "\0output"


def groups(findings: Iterable[Finding]) -> list[tuple[Finding, ...]]:
    """Return the findings in groups, in the order of the first of each.

    Those of a group differ in the victim, in the paths of its outputs and in the contents that are the
    evidence, and in nothing else that they say.
    """
    found: dict[object, list[Finding]] = {}
    for each in findings:
        found.setdefault(_what_it_says(each), []).append(each)
    return [tuple(each) for each in found.values()]


def others_in_words(group: Sequence[Finding]) -> str:
    """Return the names of all victims of a group but the first one; empty if there are none."""
    names = list(dict.fromkeys(each.victim for each in group[1:]))
    return f"the same for {', '.join(names)}" if names else ""


def _what_it_says(finding: Finding) -> tuple[object, ...]:
    """Return what is equal for all findings of a group."""
    names = {finding.victim: _VICTIM} if finding.victim else {}
    polluters = tuple(names.get(each, each) for each in finding.polluters)
    if any(each not in finding.summary for each in finding.polluters):
        polluters = tuple(sorted({*finding.polluters, finding.victim}))  # all that overlapped
    carriers = tuple((each.kind, each.name, each.place) for each in finding.carriers)
    outputs = [path for each in finding.last_action for path in each.outputs]
    names |= dict.fromkeys((*finding.outputs, *outputs), _OUTPUT)
    return (
        finding.code,
        finding.severity,
        finding.factor,
        polluters,
        carriers,
        _replaced(finding.summary, names),
    )


def _replaced(text: str, names: dict[str, str]) -> str:
    """Return a text with something else for each name that stands alone in it."""
    longest_first = sorted(names, key=len, reverse=True)
    pattern = "|".join(rf"(?<![\w./-]){re.escape(each)}(?![\w/-]|\.\w)" for each in longest_first)
    return re.sub(pattern, lambda found: names[found[0]], text) if names else text
