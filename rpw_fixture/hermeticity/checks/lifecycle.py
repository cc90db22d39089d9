"""RPW106 and RPW112: the end of a worker, and processes that should have ended with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import LEFT_PROCESSES
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Outcome, Trial, steps

_REQUESTS = 3
#: So many processes that repeated requests added are no longer a helper that is there to stay.
MANY = 2


def trial(context: CheckContext, action: SuiteAction) -> Trial:
    """A few identical requests, and then time for the worker to end."""
    return Trial(history=steps(*[action] * _REQUESTS), eof_patience=context.eof_patience)


def find(context: CheckContext) -> Iterator[Finding]:
    """Send a few identical requests, close stdin and wait."""
    action = (context.succeeding or context.usable)[0]
    asked = trial(context, action)
    result = context.run(asked)
    is_cut = len(result.outcomes) < _REQUESTS or bool(result.outcomes[-1].failure)
    if is_cut:
        # One that does not survive a few requests still has to end after its first.
        context.skip("RPW112", "the worker did not survive a few identical requests")
        asked = Trial(history=steps(action), eof_patience=context.eof_patience)
        result = context.run(asked)
    if not result.ending.is_by_itself and not result.outcomes[-1].failure:
        context.harness.ignores_eof = True
        yield Finding(
            code="RPW106",
            summary=f"the worker still runs {context.eof_patience:g} s after its stdin was closed",
            evidence="it was killed then",
            history=asked.history,
        )
    still_there = lasting(result.outcomes)
    if still_there:
        context.facts.share(LEFT_PROCESSES, value=True)
        yield Finding(
            code="RPW112",
            victim=action.name,
            summary="processes started for a request outlive its response",
            evidence="after the response there still ran: " + ", ".join(still_there),
            history=asked.history,
        )
    elif result.ending.leftovers:
        yield Finding(
            code="RPW112",
            victim=action.name,
            summary="processes that the worker started outlive it",
            evidence=f"{result.ending.leftovers} process(es) had to be killed after it ended",
            history=asked.history,
        )


def lasting(outcomes: tuple[Outcome, ...]) -> list[str]:
    """Processes that later requests added and that stayed; helpers of the first one may stay."""
    known = set(outcomes[0].children)
    return [each for each in outcomes[-1].children if each not in known]


def repeatedly_added(outcomes: Sequence[Outcome]) -> list[str]:
    """Processes alive at the end that requests added whose like had been answered before."""
    seen: set[object] = set()
    added: dict[str, None] = {}
    for place, each in enumerate(outcomes):
        if each.step.action in seen:
            added.update(dict.fromkeys(newcomers(outcomes, place)))
        seen.add(each.step.action)
    alive = set(outcomes[-1].children) if outcomes else set()
    return [each for each in added if each in alive]


def newcomers(outcomes: Sequence[Outcome], place: int) -> list[str]:
    """Processes that were not there after the request before."""
    earlier = set(outcomes[place - 1].children) if place else set()
    return [each for each in outcomes[place].children if each not in earlier]
