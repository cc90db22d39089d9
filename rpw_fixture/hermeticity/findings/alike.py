"""Findings that say the same of several actions: readers get one of them, and a list of the others."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence

from rpw_fixture.hermeticity.findings.finding import Finding

_VICTIM, _INPUT, _OUTPUT = "\0victim", "\0input", "\0output"


def groups(findings: Iterable[Finding]) -> list[tuple[Finding, ...]]:
    """Return the findings in groups, in the order of the first of each.

    Those of a group differ in the victim, in the paths of its files and in the contents that are the
    evidence, and in nothing else that they say. No two of them have the same victim.
    """
    found: dict[object, list[Finding]] = {}
    times: Counter[object] = Counter()
    for each in findings:
        says = _what_it_says(each)
        found.setdefault((says, times[says, each.victim]), []).append(each)
        times[says, each.victim] += 1
    return [tuple(each) for each in found.values()]


def others_in_words(group: Sequence[Finding]) -> str:
    """Return the names of all victims of a group but the first one; empty if there are none."""
    names = ", ".join(each.victim for each in group[1:])
    return f"the same for {names}" if names else ""


def _what_it_says(finding: Finding) -> tuple[object, ...]:
    """Return what is equal for all findings of a group."""
    names = {finding.victim: _VICTIM} if finding.victim else {}
    polluters = tuple(names.get(each, each) for each in finding.polluters)
    if any(each not in finding.summary for each in finding.polluters):
        polluters = tuple(sorted({*finding.polluters, finding.victim}))  # all that overlapped
    carriers = tuple((each.kind, each.name, each.place) for each in finding.carriers)
    for step in finding.history:
        if step.action.name == finding.victim:
            names |= dict.fromkeys(step.action.inputs, _INPUT)
            names |= dict.fromkeys(step.action.outputs, _OUTPUT)
    names |= dict.fromkeys(finding.outputs, _OUTPUT)
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
