"""RPW110: requests that are cancelled after the response, at once, and during the work.

Also among overlapping requests, while one is held at an input, and of another action than the victim.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain, islice

from rpw_fixture.hermeticity.checks import concurrency, multiplexing
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS, SANDBOX_IGNORED
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Cancel, Outcome, RunMode, Step, Trial, steps
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
    findings = chain(
        (
            _judged(context, step)
            for action in slowest_first[:_MOST_ACTIONS]
            for step in _cancelled(context, action)
        ),
        _others(context),
        _overlapping(context),
        _held(context),
    )
    yield from islice((each for each in findings if each is not None), 1)


def _cancelled(context: CheckContext, action: SuiteAction) -> Iterator[Step]:
    # First what does not depend on the moment: if that is wrong, a reproducer always shows it.
    yield Step(action=action, cancel=Cancel.AFTERWARDS)
    if not _loses_cancels(context):
        yield Step(action=action, cancel=Cancel.AT_ONCE)
        seconds = _warm_seconds(context, action)
        for part in _PARTS:
            yield Step(action=action, cancel=Cancel.AT_WORK, delay=round(part * seconds, 4))


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


def _others(context: CheckContext) -> Iterator[Finding | None]:
    """Cancel requests of one action between requests of another one."""
    if len(context.succeeding) < 2:
        return
    victim, other = map(_plain, context.succeeding[:2])
    moments = [Cancel.AT_ONCE, Cancel.AT_WORK] * (not _loses_cancels(context))
    moments.append(Cancel.AFTERWARDS)
    cancelled = [replace(other, cancel=each) for each in moments]
    history = (victim, *(step for each in cancelled for step in (each, victim)))
    usual = tuple(replace(each, cancel=Cancel.NEVER) for each in history)
    for place, outcome in enumerate(context.run(Trial(history=history)).outcomes):
        plain = context.cold(outcome.step.action)
        is_victim = outcome.step.cancel is Cancel.NEVER
        if not (
            outcome.failure or outcome.late or (is_victim and context.differing(plain, outcome))
        ):
            continue
        control = context.run(Trial(history=usual)).outcomes
        if len(control) <= place or control[place].failure:
            return
        again = context.run(Trial(history=history[: place + 1], run=1)).outcomes[-1]
        is_wrong = is_victim and context.differing(control[place], again)
        problem = _in_words(again.failure) or again.late
        problem = problem or ("the next request gives a different result" if is_wrong else "")
        if problem:
            name = other.action.name
            yield _finding(again, f"after {name} was cancelled: {problem}", history[: place + 1])
        return


def _overlapping(context: CheckContext) -> Iterator[Finding | None]:
    """Cancel one of as many overlapping requests as possible: one in the middle, then the last one."""
    group = concurrency.compatible(context)
    if not context.suite.worker.multiplex or len(group) < 2 or _is_excused(context):
        return
    usual = steps(*(group * 2 if context.suite.worker.sandbox else group))
    for place in (len(usual) // 2, len(usual) - 1):
        cancelled = replace(usual[place], cancel=Cancel.AT_ONCE)
        history = (*usual[:place], cancelled, *usual[place + 1 :])
        if not _problem(context, history, 0) or _problem(context, usual, 0):
            continue
        if problem := _problem(context, history, 1):
            outcome = problem[0]
            text = f"when {cancelled.action.name} is cancelled among overlapping requests: {problem[1]}"
            yield _finding(outcome, text, history, RunMode.OVERLAPPING)


def _problem(
    context: CheckContext, history: tuple[Step, ...], run: int
) -> tuple[Outcome, str] | None:
    """Return the first outcome that is wrong, and what is wrong with it."""
    trial = Trial(history=history, mode=RunMode.OVERLAPPING, run=run)
    for outcome in context.run(trial).outcomes:
        name, is_cancelled = outcome.step.action.name, outcome.step.cancel is not Cancel.NEVER
        if outcome.failure or outcome.late:
            return outcome, f"{name}: {_in_words(outcome.failure) or outcome.late}"
        if not is_cancelled and context.differing(context.cold(outcome.step.action), outcome):
            return outcome, f"{name} gives a different result"
    return None


def _held(context: CheckContext) -> Iterator[Finding | None]:
    """Cancel a request that is certainly at work: it waits for an input."""
    if not context.suite.worker.multiplex or _is_excused(context):
        return
    usual, reason = multiplexing.held_history(context)
    if reason:
        return
    history = (usual[0], replace(usual[1], cancel=Cancel.AT_WORK), usual[2])
    problems = []
    for run in range(2):
        result = context.run(Trial(history=history, mode=RunMode.HELD, run=run))
        wrong = [each for each in result.outcomes if each.failure or each.late]
        if not wrong or not result.holding.is_held:
            return
        problems.append(wrong[0])
    control = context.run(Trial(history=usual, mode=RunMode.HELD)).outcomes
    if not any(each.failure for each in control):
        problem = _in_words(problems[-1].failure) or problems[-1].late
        text = f"when {history[1].action.name} is cancelled while it waits for an input: {problem}"
        yield _finding(problems[-1], text, history, RunMode.HELD)


def _loses_cancels(context: CheckContext) -> bool:
    """Return whether a singleplex worker misreads a cancel in one write with a request (RPW118)."""
    return not context.suite.worker.multiplex and context.facts.read(LOST_REQUESTS)


def _is_excused(context: CheckContext) -> bool:
    """Return whether overlapping requests fail for another reason."""
    is_lossy = context.facts.read(LOST_REQUESTS)
    return context.facts.read(SANDBOX_IGNORED) or is_lossy


def _plain(action: SuiteAction) -> Step:
    return Step(action=action)


def _finding(
    outcome: Outcome, summary: str, history: tuple[Step, ...], mode: RunMode = RunMode.WORKER
) -> Finding:
    return Finding(
        code="RPW110",
        victim=outcome.step.action.name,
        summary=summary,
        evidence=outcome.detail or outcome.late,
        history=history,
        mode=mode,
    )


def _in_words(failure: str) -> str:
    # On a busy machine a second response may be read as one too many: the same bug in the same words.
    return "the worker answered twice" if failure == ProtocolRule.UNEXPECTED_RESPONSE else failure
