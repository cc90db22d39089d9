"""Warm screening: many small questions to one worker, so that only suspicious actions need cold starts.

A worker gets an action, then a changed version of it, then the next pair. A response counts only if the
plain actions before and after it give the same results as in a fresh worker; otherwise the worker leaks
state and proves nothing.
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
    """An action, and a changed version of it."""

    plain: SuiteAction
    changed: SuiteAction


class Answers(NamedTuple):
    """A warm worker's outcomes for both parts of a pair."""

    plain: Outcome
    changed: Outcome


def ask(
    context: CheckContext, pairs: Sequence[Pair], listing: Listing = Listing.HEX
) -> dict[Pair, Answers]:
    """Return the answers that count; as many workers are started as there are jobs."""
    parts = [each for each in _parts(pairs, context.harness.jobs) if each]
    results = context.run_all([Trial(history=_history(each, listing)) for each in parts])
    found: dict[Pair, Answers] = {}
    for part, result in zip(parts, results, strict=True):
        found.update(_counting(context, part, result.outcomes))
    return found


def has_noticed(context: CheckContext, answers: Answers) -> bool:
    """Return whether the exit code or all outputs of the changed action differ from the plain one's."""
    differing = {*context.differing(answers.plain, answers.changed)}
    outputs = answers.plain.aspects.keys() - {EXIT_CODE, RESPONSE}
    return EXIT_CODE in differing or (bool(outputs) and outputs <= differing)


def _history(pairs: Sequence[Pair], listing: Listing) -> tuple[Step, ...]:
    actions = [action for pair in pairs for action in pair]
    return tuple(Step(action=each, listing=listing) for each in (*actions, pairs[-1].plain))


def _counting(
    context: CheckContext, pairs: Sequence[Pair], outcomes: Sequence[Outcome]
) -> Iterator[tuple[Pair, Answers]]:
    """Yield the pairs whose plain action, and the one after it, gave a fresh worker's result."""
    is_good = [
        not context.differing(context.cold(each.step.action), each) for each in outcomes[::2]
    ]
    for place, pair in enumerate(pairs):
        if 2 * place + 2 < len(outcomes) and is_good[place] and is_good[place + 1]:
            yield pair, Answers(outcomes[2 * place], outcomes[2 * place + 1])


def _parts(pairs: Sequence[Pair], count: int) -> list[Sequence[Pair]]:
    size = -(-len(pairs) // count)
    return [pairs[start : start + size] for start in range(0, len(pairs), size or 1)]
