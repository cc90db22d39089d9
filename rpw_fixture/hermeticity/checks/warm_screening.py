"""Warm screening: many small questions to one worker, so that only suspicious actions need cold starts.

A worker gets an action, then a changed version of it, then the next pair. A response counts only if the
plain actions before and after it give the same results as in a fresh worker; otherwise the worker leaks
state and proves nothing.
"""

from __future__ import annotations

import itertools
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


class QuestionSection(NamedTuple):
    """Pairs, and requests after them, that one worker gets.

    Attributes:
        pairs: what to ask.
        more: requests after them.
        asks_again: the plain action of each pair is requested once more before ``more``.
        listing: the inputs that the requests of the pairs list.
        in_place: inputs are rewritten and not replaced, so that they keep their inodes.
    """

    pairs: tuple[Pair, ...]
    more: tuple[Step, ...] = ()
    asks_again: bool = False
    listing: Listing = Listing.HEX
    in_place: bool = False


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
    workers = [[QuestionSection(each, listing=listing, in_place=in_place)] for each in parts]
    return _screened(context, workers).answers


def ask_sections(context: CheckContext, sections: Sequence[QuestionSection]) -> Screening:
    """Ask some pairs, then more steps, then other pairs and so on; at most as many workers as jobs."""
    return _screened(context, _shared_out(context, sections))


def trials_of(context: CheckContext, sections: Sequence[QuestionSection]) -> list[Trial]:
    """Return the trials that `ask_sections` runs, first the one with all the other steps."""
    return [_trial(each) for each in _shared_out(context, sections)]


def _trial(sections: Sequence[QuestionSection]) -> Trial:
    return Trial(history=tuple(itertools.chain.from_iterable(map(_steps, sections))))


def _shared_out(
    context: CheckContext, sections: Sequence[QuestionSection]
) -> list[list[QuestionSection]]:
    """Return the sections that each worker gets."""
    most = max((each.pairs for each in sections), key=len)
    count = max(1, len(_parts(most, context.harness.jobs)))
    workers = [[_shared(each, number, count) for each in sections] for number in range(count)]
    return [each for each in workers if any(map(_steps, each))]


def _shared(section: QuestionSection, number: int, count: int) -> QuestionSection:
    """Return the part of a section that one of several workers gets; the first gets the other steps."""
    more = () if number else section.more
    return section._replace(pairs=section.pairs[number::count], more=more)


def _screened(context: CheckContext, workers: Sequence[Sequence[QuestionSection]]) -> Screening:
    """Ask each worker its sections."""
    results = context.run_all([_trial(each) for each in workers])
    answers: dict[Pair, Answers] = {}
    more: dict[Step, Outcome] = {}
    for sections, result in zip(workers, results, strict=True):
        left = result.outcomes
        for section in sections:
            counted, size = 2 * len(section.pairs) + bool(section.pairs), len(_steps(section))
            answers.update(_counting(context, section.pairs, left[:counted]))
            more.update((each.step, each) for each in left[counted:size])
            left = left[size:]
    return Screening(answers, more)


def has_noticed(context: CheckContext, answers: Answers) -> bool:
    """Return whether the exit code or all outputs of the changed action differ from the plain one's."""
    differing = {*context.differing(answers.plain, answers.changed)}
    outputs = answers.plain.aspects.keys() - {EXIT_CODE, RESPONSE}
    return EXIT_CODE in differing or (bool(outputs) and outputs <= differing)


def _steps(section: QuestionSection) -> tuple[Step, ...]:
    actions = [action for pair in section.pairs for action in pair]
    actions += [each.plain for each in section.pairs[-1:]]
    paired = (
        Step(action=each, listing=section.listing, in_place=section.in_place) for each in actions
    )
    again = {each.plain: Step(action=each.plain) for each in section.pairs * section.asks_again}
    return (*paired, *again.values(), *section.more)


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


def _parts(pairs: Sequence[Pair], count: int) -> list[tuple[Pair, ...]]:
    size = max(_LEAST, -(-len(pairs) // count))
    parts = [tuple(pairs[start : start + size]) for start in range(0, len(pairs), size or 1)]
    return [each for each in parts if each]
