"""One worker after the other in the same place: a screening for RPW214 and RPW215 together.

Two workers are killed, each in an action that is new to the place, one while it reads and one as it
writes. Others end well, after other contents of the inputs and requests that fail. Each worker begins
with plain requests. Only where one of these has another result than in a fresh place, the two checks ask
which of the endings it was.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from rpw_fixture.hermeticity.checks import successors
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.input_changes import other_configuration
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import (
    Interruption,
    Outcome,
    Predecessor,
    Trial,
    steps,
)

_MOST_FAILING = 4


def trials(context: CheckContext) -> list[Trial]:
    """Return the trial of the screening, if there is one."""
    return [_trial(context)] if context.succeeding else []


def is_clean(context: CheckContext) -> bool:
    """Return whether no ended worker changed a result, though one of them was killed in mid-request."""
    if not context.succeeding:
        return False
    result = context.run(_trial(context))
    has_failed = any(one.failure for each in result.earlier for one in each.outcomes)
    if has_failed or not any(each.is_interrupted for each in result.earlier):
        return False
    workers = [*(each.outcomes for each in result.earlier[1:]), result.outcomes]
    plain = (tuple(itertools.takewhile(_is_plain, each)) for each in workers)
    return not any(found for each in plain for found in successors.suspects(context, each))


def _is_plain(outcome: Outcome) -> bool:
    return not outcome.step.action.variant


def _trial(context: CheckContext) -> Trial:
    plain = steps(*context.usable)
    first, last = context.succeeding[0], context.succeeding[-1]
    others = [each for each in context.succeeding if each not in {first, last}]
    changed = [*(each for each in context.usable if each not in {first, last}), first]
    before = () if first == last else _with_changes([first], changed, context)
    predecessors = (
        _killed((*others, first), Interruption.READING),
        _killed((*before, last), Interruption.FIRST_WRITE),
        Predecessor(history=steps(*_with_changes(context.usable, [last], context))),
    )
    return successors.trial(context, plain, predecessors)


def _killed(actions: Sequence[SuiteAction], moment: Interruption) -> Predecessor:
    return Predecessor(history=steps(*actions), interruption=moment)


def _with_changes(
    plain: Sequence[SuiteAction], changed: Sequence[SuiteAction], context: CheckContext
) -> list[SuiteAction]:
    """Return actions, then others with other contents of the inputs, and with what most tools refuse."""
    others = (other_configuration(each) for each in changed)
    refused = (_likely_to_fail(context, each) for each in changed[-_MOST_FAILING:])
    return [*plain, *(each for each in others if each is not None), *refused]


def _likely_to_fail(context: CheckContext, action: SuiteAction) -> SuiteAction:
    return context.without_inputs(action) or context.bad_option(action)
