"""RPW108 and RPW205: the tool without ``--persistent_worker``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.excerpts import head_and_tail
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import (
    EXIT_CODE,
    NO_ONE_SHOT,
    RESPONSE,
    Outcome,
    RunMode,
    Trial,
    steps,
)

#: One-shot runs may take about this long together, seconds.
_SECONDS = 5.0


def find(context: CheckContext) -> Iterator[Finding]:
    """Run the actions one-shot and compare with fresh workers."""
    if not context.suite.worker.one_shot:
        context.skip("RPW108", NO_ONE_SHOT)
        context.skip("RPW205", NO_ONE_SHOT)
        return
    found = outcomes(context)
    good = _good(found)
    if not good:
        context.skip(
            "RPW108",
            "no action of the suite succeeds, so a failure without the flag proves nothing",
        )
    if is_broken(context, found):
        yield _broken(good[0])
        context.skip("RPW205", "the tool does not work without --persistent_worker (RPW108)")
        return
    if not context.usable:
        context.skip("RPW205", "no action works on a worker")
        return
    for outcome in found:
        yield from _mismatch(context, outcome.step.action, outcome)


def outcomes(context: CheckContext) -> list[Outcome]:
    """Return the outcomes of one-shot runs of some actions."""
    actions = context.affordable(_SECONDS) or context.suite.actions[:1]
    trials = [Trial(history=steps(each), mode=RunMode.ONE_SHOT) for each in actions]
    return [each.outcomes[0] for each in context.run_all(trials)]


def is_broken(context: CheckContext, found: Sequence[Outcome]) -> bool:
    """Return whether no action that must succeed does so one-shot."""
    good = _good(found)
    return bool(good) and not any(
        each.is_as_expected or not _is_stable(context, each) for each in good
    )


def _good(found: Sequence[Outcome]) -> list[Outcome]:
    return [each for each in found if each.step.action.exit_code == 0]


def _is_stable(context: CheckContext, outcome: Outcome) -> bool:
    return EXIT_CODE not in context.ignored(outcome.step.action)


def _broken(outcome: Outcome) -> Finding:
    action = outcome.step.action
    result = outcome.failure or f"exit code {outcome.exit_code} instead of {action.exit_code}"
    return Finding(
        code="RPW108",
        victim=action.name,
        summary=f"without --persistent_worker, {action.name} ends with {result}",
        evidence=f"its output: {head_and_tail(outcome.response) or outcome.detail or '(nothing)'}",
        history=(outcome.step,),
        mode=RunMode.ONE_SHOT,
    )


def _mismatch(context: CheckContext, action: SuiteAction, outcome: Outcome) -> Iterator[Finding]:
    plain = context.cold(action)
    # A worker's response text is what the one-shot tool writes to stdout and stderr, in any order.
    aspects = [each for each in context.differing(plain, outcome) if each != RESPONSE]
    if aspects:
        yield Finding(
            code="RPW205",
            victim=action.name,
            outputs=outputs_among(aspects),
            summary=f"without --persistent_worker, {action.name} gives a different result",
            evidence=context.explain(plain, outcome, aspects, ("worker", "one-shot")),
            history=(outcome.step,),
            mode=RunMode.ONE_SHOT,
        )
