"""Unusual requests that several checks ask about: one worker answers all of them, one after the other.

A request whose answer there differs from a fresh worker's answer to the plain request is asked again in
a fresh worker, because an earlier request may be the cause.
"""

from __future__ import annotations

from collections.abc import Sequence

from rpw_fixture.hermeticity.checks import state_leaks
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Bulk, Delivery, Outcome, Step, Trial

#: Ways in which one request arrives in pieces.
CUT = (Delivery.SPLIT_BODY, Delivery.SPLIT_LENGTH, Delivery.DRIBBLED)
#: Request ids that a worker must return: a small one, and the largest.
REQUEST_IDS = (7, (1 << 31) - 1)
#: The verbosity of `bazel --worker_verbose`.
VERBOSITY = 10
#: Large requests, each after the small one that it must be served like.
LARGE = (
    (Bulk.FEW_INPUTS, Bulk.MANY_INPUTS),
    (Bulk.SHORT_OPTION, Bulk.MANY_OPTIONS, Bulk.KIB_64, Bulk.MIB_1, Bulk.MIB_4),
)


def subject(context: CheckContext) -> SuiteAction:
    """Return the action that the requests are for."""
    return (context.succeeding or context.usable)[0]


def answer(context: CheckContext, step: Step) -> Outcome:
    """Return the outcome of a request of `_trial`, or of a fresh worker if that one is suspicious."""
    if not state_leaks.stops_answering(context):
        plain = context.cold(step.action)
        for each in answers(context):
            if each.step == step and not context.differing(plain, each):
                return each
    return context.run(Trial(history=(step,))).outcomes[0]


def answers(context: CheckContext) -> Sequence[Outcome]:
    """Return the outcomes of all unusual requests to one worker, without the large ones after them."""
    return context.run(_trial(context)).outcomes[: len(_unusual(context))]


def large_answers(context: CheckContext) -> Sequence[Outcome]:
    """Return the outcomes of large requests to one worker; to a fresh one if the first one failed."""
    if not context.is_remote:
        outcomes = context.run(_trial(context)).outcomes
        if not outcomes[-1].failure:
            return outcomes[len(_unusual(context)) :]
    return context.run(Trial(history=_large(context))).outcomes


def trials(context: CheckContext) -> list[Trial]:
    """Return the trials that `answer` asks for."""
    return [state_leaks.recorded_order(context), _trial(context)]


def _trial(context: CheckContext) -> Trial:
    return Trial(history=(*_unusual(context), *_large(context)))


def _large(context: CheckContext) -> tuple[Step, ...]:
    action = subject(context)
    return tuple(Step(action=action, bulk=each) for kind in LARGE for each in kind)


def _unusual(context: CheckContext) -> tuple[Step, ...]:
    action = subject(context)
    history = [Step(action=action, delivery=each) for each in CUT]
    history.append(Step(action=action, is_extended=True))
    history.append(Step(action=action, verbosity=VERBOSITY))
    history += [Step(action=action, request_id=each) for each in REQUEST_IDS]
    return tuple(history)
