"""The pieces of the check of one worker: checks that different machines can run, and what each can judge.

A state leak may need any two actions, so actions are not divided; checks are. Those that find the same
codes stay together, so that all pieces together find what one check of everything finds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence

from rpw_fixture.hermeticity.checks.check_list import CHECKS, Check
from rpw_fixture.hermeticity.checks.facts import COLD_RESULTS, REPORTED


def pieces(selected: frozenset[str]) -> list[tuple[Check, ...]]:
    """Return the checks that find selected codes, in groups; at least one group, which may be empty.

    Checks are in one group if they find the same codes, or must know what the others have reported.
    """
    groups: list[list[Check]] = []
    for check in CHECKS:
        if _is_everywhere(check) or not selected & set(check.codes):
            continue
        related = [each for each in groups if any(_belong_together(one, check) for one in each)]
        groups = [each for each in groups if each not in related]
        groups.append([*(one for each in related for one in each), check])
    return [tuple(each) for each in groups] or [()]


def checks_of(
    numbers: Collection[int], groups: Sequence[Sequence[Check]], selected: frozenset[str]
) -> tuple[Check, ...]:
    """Return the checks that one machine runs, in the usual order.

    Args:
        numbers: numbers of its pieces.
        groups: all pieces.
        selected: codes that the user asked for.
    """
    run = {
        *filter(_is_everywhere, CHECKS),
        *(each for number in numbers for each in groups[number]),
    }
    while missing := _sharers(run) - run:
        run |= missing
    return tuple(each for each in CHECKS if each in run and _is_wanted(each, selected))


def judged(checks: Collection[Check], selected: frozenset[str]) -> frozenset[str]:
    """Return the selected codes that these checks judge without others."""
    others = (each for each in CHECKS if each not in checks)
    return selected.difference(*(each.codes for each in others))


def _is_everywhere(check: Check) -> bool:
    """Return whether all pieces run a check: others rest on it, or it looks at all runs of a piece."""
    return check.always or check.is_last


def _belong_together(one: Check, other: Check) -> bool:
    is_known = all(REPORTED in (*each.needs, *each.shares) for each in (one, other))
    return is_known or not set(one.codes).isdisjoint(other.codes)


def _sharers(checks: Iterable[Check]) -> set[Check]:
    """Return the checks that share what these need, but for what was reported: that is known in a group."""
    facts = {fact for each in checks for fact in each.needs} - {COLD_RESULTS, REPORTED}
    return {each for each in CHECKS if facts.intersection(each.shares)}


def _is_wanted(check: Check, selected: frozenset[str]) -> bool:
    return check.always or not selected.isdisjoint(check.codes)
