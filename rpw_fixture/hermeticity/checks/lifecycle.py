"""RPW106 and RPW112: the end of a worker, and the processes that should have ended with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.checks.concurrency import compatible
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import LEFT_PROCESSES
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Outcome, RunMode, Trial, steps
from rpw_fixture.support.plurals import counted

_REQUESTS = 3
#: From this many processes that repeated requests added, they are not one helper that stays.
MANY = 2


def trial(context: CheckContext, action: SuiteAction) -> Trial:
    """Return a trial of a few identical requests, with time for the worker to end afterwards."""
    return Trial(history=steps(*[action] * _REQUESTS), eof_patience=context.eof_patience)


def find(context: CheckContext) -> Iterator[Finding]:
    """Send a few identical requests, close stdin and wait for the end."""
    action = (context.succeeding or context.usable)[0]
    asked = trial(context, action)
    result = context.run(asked)
    is_cut = len(result.outcomes) < _REQUESTS or bool(result.outcomes[-1].failure)
    if is_cut:
        # A worker that does not survive a few requests must still end after its first one.
        context.skip("RPW112", "the worker did not survive a few identical requests")
        asked = Trial(history=steps(action), eof_patience=context.eof_patience)
        result = context.run(asked)
    if not result.ending.is_by_itself and not result.outcomes[-1].failure:
        context.harness.book.ignores_eof = True
        yield Finding(
            code="RPW106",
            summary=f"the worker still runs {context.eof_patience:g} seconds after its stdin was "
            "closed",
            evidence="the worker was killed then",
            history=asked.history,
        )
    still_there = lasting(result.outcomes)
    if still_there:
        context.facts.share(LEFT_PROCESSES, value=True)
        yield Finding(
            code="RPW112",
            victim=action.name,
            summary="processes started for a request outlive its response",
            evidence="still running after the response: " + ", ".join(still_there),
            history=asked.history,
        )
    elif result.ending.leftovers:
        yield Finding(
            code="RPW112",
            victim=action.name,
            summary="processes that the worker started outlive it",
            evidence=f"{counted(result.ending.leftovers, 'process')} had to be killed after its end",
            history=asked.history,
        )


def find_unfinished(context: CheckContext) -> Iterator[Finding]:
    """Close stdin while requests are unfinished: nobody reads their answers, and the worker must end."""
    if context.harness.book.ignores_eof:
        return
    group = compatible(context) if context.suite.worker.multiplex else context.succeeding
    group = group[: None if context.suite.worker.multiplex else 1] or context.usable[:1]
    usual = sum(context.cold(each).seconds for each in group)
    asked = Trial(
        history=steps(*group),
        mode=RunMode.OVERLAPPING,
        is_abandoned=True,
        eof_patience=context.eof_patience + usual,
    )
    for run in range(2):
        ending = context.run(replace(asked, run=run)).ending
        if ending.is_by_itself and not ending.leftovers:
            return
    count = counted(len(group), "unfinished request")
    yield Finding(
        code="RPW112" if ending.is_by_itself else "RPW106",
        victim=group[0].name,
        summary=f"with {count}, "
        + ("processes outlive the worker" if ending.is_by_itself else "the worker still runs")
        + f" {asked.eof_patience:.1f} seconds after its stdin was closed",
        evidence=f"stdin was closed when the worker had read {count}",
        history=asked.history,
    )


def lasting(outcomes: tuple[Outcome, ...]) -> list[str]:
    """Return the processes that later requests added and that stayed; the first may add helpers."""
    known = set(outcomes[0].children)
    return [each for each in outcomes[-1].children if each not in known]


def repeatedly_added(outcomes: Sequence[Outcome]) -> list[str]:
    """Return the processes alive at the end that a request added though an equal one came before."""
    seen: set[object] = set()
    added: dict[str, None] = {}
    for place, each in enumerate(outcomes):
        if each.step.action in seen:
            added.update(dict.fromkeys(newcomers(outcomes, place)))
        seen.add(each.step.action)
    alive = set(outcomes[-1].children) if outcomes else set()
    return [each for each in added if each in alive]


def newcomers(outcomes: Sequence[Outcome], place: int) -> list[str]:
    """Return the processes that were not there after the previous request."""
    earlier = set(outcomes[place - 1].children) if place else set()
    return [each for each in outcomes[place].children if each not in earlier]
