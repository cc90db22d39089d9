"""RPW111 and RPW213: overlapping requests to a multiplex worker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.checks import orders
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS, SANDBOX_IGNORED
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials import input_tree
from rpw_fixture.hermeticity.trials.trial import (
    EXIT_CODE,
    RESPONSE,
    Outcome,
    RunMode,
    Step,
    Trial,
    steps,
)
from rpw_fixture.wire.worker.messages import ProtocolRule

#: Failures that overlapping requests may have although the worker read each of them.
MIXED_UP = frozenset((ProtocolRule.WRONG_REQUEST_ID, ProtocolRule.UNEXPECTED_RESPONSE))
_ROUNDS = 4
_MOST_AT_ONCE = 8


def find_mixups(context: CheckContext) -> Iterator[Finding]:
    """Send requests at once and compare each response with that of a fresh worker."""
    group = compatible(context)
    reason = _why_impossible(context, group)
    if reason:
        for code in ("RPW111", "RPW213"):
            context.skip(code, reason)
        return
    reported: set[str] = set()
    for history in _rounds(group):
        for run in range(2):
            trial = Trial(history=history, mode=RunMode.OVERLAPPING, run=run)
            for finding in _judge(context, history, context.run(trial).outcomes):
                if finding.victim not in reported:
                    reported.add(finding.victim)
                    yield finding


def _why_impossible(context: CheckContext, group: Sequence[SuiteAction]) -> str:
    """Return why overlapping requests can't be judged; empty if they can."""
    if not context.suite.worker.multiplex:
        return "the suite does not say multiplex = true"
    if context.facts.read(LOST_REQUESTS):
        return "the worker loses requests that come in one write"
    if context.facts.read(SANDBOX_IGNORED):
        return "the worker ignores sandbox_dir (RPW116)"
    return "" if len(group) > 1 else "no two actions can share an input root; try sandbox = true"


def _rounds(group: Sequence[SuiteAction]) -> list[tuple[Step, ...]]:
    rows = orders.pair_covering(group)[:_ROUNDS]
    return [steps(*row) for row in rows]


def compatible(context: CheckContext) -> list[SuiteAction]:
    """Return actions whose inputs and outputs fit into one input root, in the order of the suite."""
    if context.suite.worker.sandbox:
        return list(context.usable[:_MOST_AT_ONCE])
    group: list[SuiteAction] = []
    for action in context.usable:
        candidates = [*group, action]
        worker, store = context.suite.worker, context.harness.store
        try:
            input_tree.merged([input_tree.layout(worker, each, store) for each in candidates])
        except ValueError:
            continue
        group = candidates[:_MOST_AT_ONCE]
    return group


def _judge(
    context: CheckContext, history: tuple[Step, ...], outcomes: Sequence[Outcome]
) -> Iterator[Finding]:
    colds = [context.cold(step.action) for step in history]
    for place, (outcome, cold) in enumerate(zip(outcomes, colds, strict=True)):
        aspects = context.differing(cold, outcome)
        if not aspects or _is_leak(context, history, outcome, aspects):
            continue
        others = [each for index, each in enumerate(colds) if index != place]
        is_mixup = outcome.failure in MIXED_UP or any(
            _answers(outcome) == _answers(each)
            for each in others
            if _answers(each) != _answers(cold)
        )
        action = outcome.step.action
        yield Finding(
            code="RPW111" if is_mixup else "RPW213",
            victim=action.name,
            polluters=tuple(each.action.name for each in history if each.action != action),
            outputs=outputs_among(aspects),
            summary=f"when requests overlap, {action.name} gets "
            + ("the response of another request" if is_mixup else "a different result"),
            evidence=context.explain(cold, outcome, aspects, ("alone", "overlapping")),
            history=history,
            mode=RunMode.OVERLAPPING,
        )


def _is_leak(
    context: CheckContext, history: tuple[Step, ...], outcome: Outcome, aspects: Sequence[str]
) -> bool:
    """Return whether the result is wrong too when the requests come one by one: a state leak."""
    victim = outcome.step
    one_by_one = (*(each for each in history if each != victim), victim)
    outcomes = context.run(Trial(history=one_by_one)).outcomes
    if outcomes[-1].failure and outcomes[-1].failure == outcome.failure:
        return True
    if len(outcomes) < len(one_by_one):
        return False
    return set(aspects) <= set(context.differing(context.cold(victim.action), outcomes[-1]))


def _answers(outcome: Outcome) -> tuple[object, object]:
    return outcome.aspects[EXIT_CODE], outcome.aspects[RESPONSE]
