"""Counting the action-cache entries of a recorded build that differ from a fresh worker's results.

The recorded order is run again unchanged: the question is what this build put into the cache.
`checks.state_leaks` tries other orders.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.report import CachePoisoning
from rpw_fixture.hermeticity.suites.recording import RecordedAction
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Outcome, Trial, steps
from rpw_fixture.hermeticity.trials.trial_book import OutOfTimeError


def recorded_orders(
    recorded: Iterable[RecordedAction], suite: Suite
) -> list[tuple[SuiteAction, ...]]:
    """Return the actions of a suite in their recorded order, one sequence for each worker pool."""
    members = frozenset(suite.actions)
    pools: dict[str, list[SuiteAction]] = {}
    for each in recorded:
        if each.action in members:
            pools.setdefault(each.pool, []).append(each.action)
    return [tuple(each) for each in pools.values()]


def count(context: CheckContext, orders: Sequence[tuple[SuiteAction, ...]]) -> CachePoisoning:
    """Run each order in a warm worker and compare every result with that of a fresh one.

    Only results with exit code 0 of actions without do_not_cache count, because REAPI servers cache no
    others. Differences in the
    response text, and differences among fresh workers, do not make an entry wrong.

    Args:
        context: after the cold runs, so that it is known what is stable.
        orders: the result of `recorded_orders`.
    """
    entries = 0
    wrong: list[str] = []
    try:
        for warm in (outcome for order in orders for outcome in _replay(context, order)):
            if warm.failure or warm.exit_code != 0 or warm.step.action.do_not_cache:
                continue
            entries += 1
            if set(context.differing(context.cold(warm.step.action), warm)) - {RESPONSE}:
                wrong.append(warm.step.action.name)
    except OutOfTimeError as error:
        return CachePoisoning(entries=entries, actions=tuple(wrong), reason=str(error))
    return CachePoisoning(entries=entries, actions=tuple(wrong))


def _replay(context: CheckContext, order: Sequence[SuiteAction]) -> Iterator[Outcome]:
    """Yield the outcomes in that order; after a request that ended its worker, a new worker goes on."""
    rest = [each for each in order if not context.cold(each).failure]
    while rest:
        outcomes = context.run(Trial(history=steps(*rest))).outcomes
        yield from outcomes
        rest = rest[len(outcomes) :]
