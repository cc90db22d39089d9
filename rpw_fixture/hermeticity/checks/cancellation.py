"""RPW110: requests that are cancelled at once, during the work, and after the response."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Cancel, Step, Trial
from rpw_fixture.wire.worker.messages import ProtocolRule

#: An action is cancelled after these parts of its usual time.
_PARTS = (0.25, 0.5, 0.9)
_MOST_ACTIONS = 4


def find(context: CheckContext) -> Iterator[Finding]:
    """Cancel requests and send a plain request afterwards; yield the first bug only."""
    if not context.suite.worker.cancellation:
        context.skip("RPW110", "the suite does not say cancellation = true")
        return
    if not context.succeeding:
        context.skip("RPW110", "no action succeeds, so there is nothing to cancel")
    slowest_first = sorted(context.succeeding, key=lambda each: -_warm_seconds(context, each))
    for action in slowest_first[:_MOST_ACTIONS]:
        for step in _cancelled(context, action):
            finding = _judged(context, step)
            if finding is not None:
                yield finding
                return


def _cancelled(context: CheckContext, action: SuiteAction) -> Iterator[Step]:
    yield Step(action=action, cancel=Cancel.AT_ONCE)
    seconds = _warm_seconds(context, action)
    for part in _PARTS:
        yield Step(action=action, cancel=Cancel.AT_WORK, delay=round(part * seconds, 4))
    yield Step(action=action, cancel=Cancel.AFTERWARDS)


def _warm_seconds(context: CheckContext, action: SuiteAction) -> float:
    """Return the seconds that a warm worker takes for an action."""
    return context.run(Trial(history=(Step(action=action),) * 2)).outcomes[-1].seconds


def _judged(context: CheckContext, step: Step) -> Finding | None:
    # The worker is warm by then, so that the delay counts from the work and not from the start.
    plain = Step(action=step.action)
    history = (plain, step, plain)
    uncancelled = context.run(Trial(history=(plain,) * 3)).outcomes
    if uncancelled[-1].failure:
        context.skip("RPW110", f"without any cancel the worker fails: {uncancelled[-1].failure}")
        return None
    outcomes = context.run(Trial(history=history)).outcomes
    if len(outcomes) < 2:
        return None
    cancelled, last = outcomes[1], outcomes[-1]
    problem = _in_words(cancelled.failure) or cancelled.late
    if not problem and len(outcomes) > 2:
        aspects = context.differing(uncancelled[-1], last)
        problem = _in_words(last.failure)
        problem = problem or ("the next request gives a different result" if aspects else "")
    if not problem:
        return None
    return Finding(
        code="RPW110",
        victim=step.action.name,
        summary=f"after {step.action.name} was cancelled {step.cancel.value}: {problem}",
        evidence=cancelled.detail or cancelled.late or last.detail,
        history=history,
    )


def _in_words(failure: str) -> str:
    # On a busy machine a second response may be read as one too many: the same bug in the same words.
    return "the worker answered twice" if failure == ProtocolRule.UNEXPECTED_RESPONSE else failure
