"""RPW215: a worker is killed in mid-request, or its request is cancelled; the next one starts there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from rpw_fixture.hermeticity.checks import ended_workers, state_leaks, successors
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.successors import SuspectVictim
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import (
    Cancel,
    Interruption,
    Predecessor,
    Result,
    Step,
    Trial,
    steps,
)

#: Where nothing else shows that a request has begun, its worker is killed after these parts of its usual
#: time, one after the other until one is early enough. Requests are cancelled after the first part.
_PARTS = (0.5, 0.2, 0.05)
#: Whether an interruption leaves something depends on its moment; one of these tries must show it again.
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class _EndingPlan:
    """Some interrupted workers, and what happened to each of them, in words."""

    predecessors: tuple[Predecessor, ...]
    words: str


def find(context: CheckContext) -> Iterator[Finding]:
    """Cancel requests, kill two workers in mid-request, and ask the worker that starts there."""
    if not context.succeeding:
        context.skip("RPW215", "no action succeeds, so there is nothing to interrupt")
        return
    if context.suite.worker.cancellation:
        yield from _tried(context, _cancelled(context, _PARTS[0]))
    if ended_workers.is_clean(context):
        return
    for way in _ways(context):
        yield from _tried(context, way)
        if any(each.is_interrupted for each in _run(context, way).earlier):
            return
    context.skip("RPW215", "each request was answered before its worker could be killed")


def _run(context: CheckContext, way: _EndingPlan) -> Result:
    return context.run(successors.trial(context, steps(*context.usable), way.predecessors))


def _tried(context: CheckContext, way: _EndingPlan) -> Iterator[Finding]:
    for suspect in successors.suspects(context, _run(context, way).outcomes):
        yield from _blamed(context, suspect, way)


def _ways(context: CheckContext) -> Iterator[_EndingPlan]:
    """Yield ways to kill two workers, each of them while it works on another action."""
    yield _killed(context, (Interruption.READING, Interruption.FIRST_WRITE))
    for part in _PARTS:
        yield _killed(context, (Interruption.AT_WORK,) * 2, part)


def _killed(
    context: CheckContext, moments: tuple[Interruption, ...], part: float = 0.0
) -> _EndingPlan:
    chosen = (context.succeeding[0], context.succeeding[-1])
    # The interrupted requests are new to their workers: what is done already can't be interrupted.
    others = steps(*(each for each in context.succeeding if each not in chosen))
    predecessors = tuple(
        Predecessor(
            history=(*others, Step(action=action)),
            interruption=moment,
            delay=_delay(context, action, part) if part else 0.0,
        )
        for action, moment in zip(chosen, moments, strict=True)
    )
    return _EndingPlan(predecessors=predecessors, words="a worker was killed while it worked on")


def _cancelled(context: CheckContext, part: float) -> _EndingPlan:
    actions = dict.fromkeys((context.succeeding[0], context.succeeding[-1]))
    history = tuple(
        Step(action=each, cancel=Cancel.AT_WORK, delay=_delay(context, each, part))
        for each in actions
    )
    return _EndingPlan(
        predecessors=(Predecessor(history=history),),
        words="a worker had ended whose request was cancelled, for",
    )


def _delay(context: CheckContext, action: SuiteAction, part: float) -> float:
    """Return a part of the seconds that a worker takes for an action, a warm one if one comes to it."""
    warm = context.run(state_leaks.recorded_order(context)).outcomes
    known = [each.seconds for each in warm if each.step.action == action]
    return round(part * (known[-1] if known else context.cold(action).seconds), 5)


def _blamed(context: CheckContext, suspect: SuspectVictim, way: _EndingPlan) -> Iterator[Finding]:
    """Yield the finding, unless workers that end well leave the same (RPW214)."""
    calm = tuple(
        Predecessor(history=steps(*(step.action for step in each.history)))
        for each in way.predecessors
    )
    if successors.reproduced(context, suspect, calm):
        return
    for predecessors in (*_parts(way), way.predecessors):
        for run in range(1, _TRIES + 1):
            shown = successors.reproducing(context, suspect, predecessors, run)
            if shown is not None:
                yield _finding(context, suspect, way, predecessors, shown)
                return
    yield _finding(context, suspect, way, way.predecessors, is_doubtful=True)


def _parts(way: _EndingPlan) -> Iterator[tuple[Predecessor]]:
    """Yield parts of a way: each interrupted request alone."""
    for each in way.predecessors:
        for step in (
            each.history[-1:] if each.interruption is not Interruption.NEVER else each.history
        ):
            yield (replace(each, history=(step,)),)


def _finding(
    context: CheckContext,
    suspect: SuspectVictim,
    way: _EndingPlan,
    predecessors: tuple[Predecessor, ...],
    shown: Trial | None = None,
    *,
    is_doubtful: bool = False,
) -> Finding:
    polluters = [each.history[-1] for each in predecessors]
    names = ", ".join(each.action.title for each in polluters)
    return successors.finding(
        context,
        suspect,
        code="RPW215",
        polluters=polluters,
        how=f"after {way.words} {names}",
        shown=shown,
        is_doubtful=is_doubtful,
    )
