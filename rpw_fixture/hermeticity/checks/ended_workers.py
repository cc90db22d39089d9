"""One worker after the other in the same place: a screening for RPW214 and RPW215 together.

The first one has other contents of the inputs and requests that fail, and is killed while it reads; the
second one is killed as it writes; the third one ends well. Only where a result of one of the later ones
differs from that in a fresh place, the two checks ask which of these endings it was.
"""

from __future__ import annotations

from collections.abc import Sequence

from rpw_fixture.hermeticity.checks import successors
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.input_changes import other_configuration
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import (
    Interruption,
    Outcome,
    Predecessor,
    Step,
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
    workers: Sequence[Sequence[Outcome]] = [
        *(each.outcomes for each in result.earlier[1:]),
        result.outcomes,
    ]
    return not any(found for each in workers for found in successors.suspects(context, each))


def _trial(context: CheckContext) -> Trial:
    plain = steps(*context.usable)
    first, last = context.succeeding[0], context.succeeding[-1]
    # The interrupted requests are new to their workers: what is done already can't be interrupted.
    others = steps(*(each for each in context.succeeding if each not in {first, last}))
    predecessors = (
        _killed((*_changed(context), Step(action=first)), Interruption.READING),
        _killed((*others, Step(action=last)), Interruption.FIRST_WRITE),
        Predecessor(history=plain),
    )
    return successors.trial(context, plain, predecessors)


def _killed(history: tuple[Step, ...], moment: Interruption) -> Predecessor:
    return Predecessor(history=history, interruption=moment)


def _changed(context: CheckContext) -> tuple[Step, ...]:
    """Return requests with other contents of the inputs, and requests that most tools refuse."""
    others = [other_configuration(each) for each in context.usable]
    refused = [_likely_to_fail(context, each) for each in context.succeeding[:_MOST_FAILING]]
    return steps(*(each for each in (*others, *refused) if each is not None))


def _likely_to_fail(context: CheckContext, action: SuiteAction) -> SuiteAction:
    return context.without_inputs(action) or context.bad_option(action)
