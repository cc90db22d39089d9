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

#: Fewer pairs than this are not worth another worker.
_LEAST = 16


class Pair(NamedTuple):
    """An action, and a changed version of it."""

    plain: SuiteAction
    changed: SuiteAction


class Answers(NamedTuple):
    """A warm worker's outcomes for both parts of a pair."""

    plain: Outcome
    changed: Outcome


class Screening(NamedTuple):
    """The answers that count, and the outcomes of the additional requests, by step."""

    answers: dict[Pair, Answers]
    more: dict[Step, Outcome]


def ask(
    context: CheckContext,
    pairs: Sequence[Pair],
    listing: Listing = Listing.HEX,
    *,
    in_place: bool = False,
) -> dict[Pair, Answers]:
    """Return the answers that count; at most as many workers are started as there are jobs.

    Args:
        context: runs trials.
        pairs: what to ask.
        listing: the inputs that each request lists.
        in_place: inputs are rewritten and not replaced, so that they keep their inodes.
    """
    parts = _parts(pairs, context.harness.jobs)
    histories = [_history(each, listing, in_place=in_place) for each in parts]
    return _screened(context, parts, histories).answers


def ask_more(context: CheckContext, pairs: Sequence[Pair], more: Sequence[Step]) -> Screening:
    """Ask as `ask`, then the plain actions again and some more steps, to the same workers."""
    parts = _parts(pairs, context.harness.jobs)
    histories = [
        (*_history(each, Listing.HEX), *(Step(action=pair.plain) for pair in each))
        for each in parts
    ]
    if histories:
        histories[-1] += tuple(more)
    elif more:
        parts, histories = [()], [tuple(more)]
    return _screened(context, parts, histories)


def _screened(
    context: CheckContext,
    parts: Sequence[Sequence[Pair]],
    histories: Sequence[tuple[Step, ...]],
) -> Screening:
    results = context.run_all([Trial(history=each) for each in histories])
    answers: dict[Pair, Answers] = {}
    more: dict[Step, Outcome] = {}
    for part, result in zip(parts, results, strict=True):
        counted = 2 * len(part) + bool(part)
        answers.update(_counting(context, part, result.outcomes[:counted]))
        more.update((each.step, each) for each in result.outcomes[counted:])
    return Screening(answers, more)


def has_noticed(context: CheckContext, answers: Answers) -> bool:
    """Return whether the exit code or all outputs of the changed action differ from the plain one's."""
    differing = {*context.differing(answers.plain, answers.changed)}
    outputs = answers.plain.aspects.keys() - {EXIT_CODE, RESPONSE}
    return EXIT_CODE in differing or (bool(outputs) and outputs <= differing)


def _history(
    pairs: Sequence[Pair], listing: Listing, *, in_place: bool = False
) -> tuple[Step, ...]:
    actions = [action for pair in pairs for action in pair]
    return tuple(
        Step(action=each, listing=listing, in_place=in_place)
        for each in (*actions, pairs[-1].plain)
    )


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
    size = max(_LEAST, -(-len(pairs) // count))
    parts = [pairs[start : start + size] for start in range(0, len(pairs), size or 1)]
    return [each for each in parts if each]
