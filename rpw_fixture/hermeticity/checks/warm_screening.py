"""Warm screening: many small questions to one worker, so that cold starts go to the suspicious ones.

A worker gets an action, then a changed version of it, then the next pair. An answer counts only where
the plain actions around it are answered as by a fresh worker: one that leaks clears nobody.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import (
    EXIT_CODE,
    RESPONSE,
    Listing,
    Outcome,
    Step,
    Trial,
)


class Pair(NamedTuple):
    """An action, and the same with something about it changed."""

    plain: SuiteAction
    changed: SuiteAction


class Answers(NamedTuple):
    """What a warm worker made of both parts of a pair."""

    plain: Outcome
    changed: Outcome


def ask(
    context: CheckContext, pairs: Sequence[Pair], listing: Listing = Listing.HEX
) -> dict[Pair, Answers]:
    """The answers that count, of as few workers as there are jobs; the others are left out."""
    parts = [each for each in _parts(pairs, context.harness.jobs) if each]
    results = context.run_all([Trial(history=_history(each, listing)) for each in parts])
    found: dict[Pair, Answers] = {}
    for part, result in zip(parts, results, strict=True):
        found.update(_counting(context, part, result.outcomes))
    return found


def has_noticed(context: CheckContext, answers: Answers) -> bool:
    """Whether nothing that the changed action led to is as before."""
    differing = {*context.differing(answers.plain, answers.changed)}
    outputs = answers.plain.aspects.keys() - {EXIT_CODE, RESPONSE}
    return EXIT_CODE in differing or (bool(outputs) and outputs <= differing)


def _history(pairs: Sequence[Pair], listing: Listing) -> tuple[Step, ...]:
    actions = [action for pair in pairs for action in pair]
    return tuple(Step(action=each, listing=listing) for each in (*actions, pairs[-1].plain))


def _counting(
    context: CheckContext, pairs: Sequence[Pair], outcomes: Sequence[Outcome]
) -> Iterator[tuple[Pair, Answers]]:
    """The pairs whose plain action, and the plain one that follows, went as in a fresh worker."""
    is_good = [
        not context.differing(context.cold(each.step.action), each) for each in outcomes[::2]
    ]
    for place, pair in enumerate(pairs):
        if 2 * place + 2 < len(outcomes) and is_good[place] and is_good[place + 1]:
            yield pair, Answers(outcomes[2 * place], outcomes[2 * place + 1])


def _parts(pairs: Sequence[Pair], count: int) -> list[Sequence[Pair]]:
    size = -(-len(pairs) // count)
    return [pairs[start : start + size] for start in range(0, len(pairs), size or 1)]
