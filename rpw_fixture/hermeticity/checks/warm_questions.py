"""The questions of several codes that one warm worker answers, one after the other.

RPW203, RPW204, RPW211 and RPW401: first inputs change, then outputs are there before the request, then
inputs are missing, which is more than some workers survive. RPW209 and RPW203: first other inputs are
listed, then inputs change that are not listed at all.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks import look_alikes, old_outputs
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.input_changes import variants
from rpw_fixture.hermeticity.checks.warm_screening import (
    Pair,
    QuestionSection,
    Screening,
    ask_sections,
    trials_of,
)
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Listing, Outcome, Step, Trial

#: Lists that one worker gets in turn, those first after which a cache has least to go by.
_LISTINGS = (Listing.NONE, Listing.EMPTY, Listing.CHANGING, Listing.MESSAGE, Listing.RAW)
_MOST_INPUTS = 3
_MOST_ACTIONS = 8

#: An action, and the path of one of its inputs.
ActionInput = tuple[SuiteAction, str]


def ask(context: CheckContext) -> Screening:
    """Return the answers to all questions."""
    return ask_sections(context, _listed_sections(context))


def trials(context: CheckContext) -> list[Trial]:
    """Return the trials that `ask` asks for."""
    return trials_of(context, _listed_sections(context))


def unlisted_trials(context: CheckContext) -> list[Trial]:
    """Return the trials that `listing_outcomes` and `ask_unlisted` ask for."""
    return trials_of(context, _unlisted(context))


def _listed_sections(context: CheckContext) -> tuple[QuestionSection, QuestionSection]:
    """Return what one worker is asked about inputs that it has lists of."""
    found = list(inputs(context))
    changed = (pair for each in found for pair in changes(*each)[:1])
    old = tuple(each.step for each in old_outputs.questions(context))
    missing = tuple(without(*each) for each in found)
    return (
        QuestionSection(tuple(changed), old),
        QuestionSection(missing, look_alikes.steps_of(context), asks_again=True),
    )


def listed(context: CheckContext) -> tuple[Step, ...]:
    """Return requests for some actions, twice with each list of inputs that servers may send."""
    actions = context.pick() * 2
    return tuple(Step(action=action, listing=each) for each in _LISTINGS for action in actions)


def listing_outcomes(context: CheckContext) -> Sequence[Outcome]:
    """Return the outcomes of requests that list inputs otherwise, all to one worker."""
    count = len(listed(context))
    return context.run(unlisted_trials(context)[0]).outcomes[:count]


def ask_unlisted(context: CheckContext) -> Screening:
    """Return the answers about inputs that change in place and are not listed, from the same worker."""
    return ask_sections(context, _unlisted(context))


def _unlisted(context: CheckContext) -> tuple[QuestionSection, QuestionSection]:
    """Return what one worker is asked with other lists, then about changes that no list shows."""
    changed = tuple(pair for each in inputs(context) for pair in changes(*each)[:1])
    return (
        QuestionSection((), listed(context)),
        QuestionSection(changed, listing=Listing.NONE, in_place=True),
    )


def changes(action: SuiteAction, path: str) -> list[Pair]:
    """Return an action with versions in which one of its inputs has other contents."""
    others = variants(content(action, path))
    return [Pair(action, action.with_content(path, each)) for each in others]


def without(action: SuiteAction, path: str) -> Pair:
    """Return an action, and its version without one of its inputs."""
    return Pair(action, action.without_input(path))


def inputs(context: CheckContext) -> Iterator[ActionInput]:
    """Yield actions with those of their inputs that are files; a sample if there are many."""
    source = random.Random(context.seed)  # noqa: S311 - for variety, not for secrets
    for action in context.pick(_MOST_ACTIONS):
        if action not in context.succeeding:
            continue
        paths = [path for path, entry in action.inputs.items() if isinstance(entry, File)]
        if len(paths) > _MOST_INPUTS:
            paths = sorted(source.sample(paths, _MOST_INPUTS))
        for path in paths:
            yield action, path


def content(action: SuiteAction, path: str) -> bytes:
    """Return the content of an input that is a file."""
    entry = action.inputs[path]
    return entry.content if isinstance(entry, File) else b""
