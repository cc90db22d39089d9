"""RPW202, RPW109 and RPW212 in suites of hundreds or thousands of actions, such as recordings of builds.

Too many for a fresh worker each: all run on a warm one, in the recorded order and backwards. A state leak
gives an action another result after other requests; only where the two differ are fresh workers asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.checks import clusters
from rpw_fixture.hermeticity.checks.blame import blame, suspicions
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Outcome, Step, Trial, steps
from rpw_fixture.support.plurals import counted

#: After this many requests that ended their worker, an order is given up.
_MOST_WORKERS = 5
#: Look for the polluters of at most this many victims.
_MOST_VICTIMS = 40


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare the results of all actions in both orders, and what differs with fresh workers."""
    actions = context.suite.actions
    if len(context.sample) == len(actions):
        return
    broken = {each.step.action for each in context.failures}
    order = [each for each in actions if each not in broken]
    histories = [*_outcomes(context, order), *_outcomes(context, order[::-1])]
    victims = _differing(context, histories)
    found = suspicions(context, histories, victims | {*steps(*context.usable)})
    # Before the search for polluters, so that it is said also if time runs out there.
    context.notes["RPW202"] = _coverage(context, histories, len(found))
    yield from blame(context, found[:_MOST_VICTIMS])


def _outcomes(context: CheckContext, order: Sequence[SuiteAction]) -> Iterator[Sequence[Outcome]]:
    """Yield the outcomes of each worker; after a request that ends its worker, a new one goes on."""
    rest = order
    for _ in range(_MOST_WORKERS):
        if not rest:
            return
        outcomes = context.run(Trial(history=steps(*rest))).outcomes
        yield outcomes
        rest = rest[len(outcomes) :]


def _differing(context: CheckContext, histories: Sequence[Sequence[Outcome]]) -> set[Step]:
    """Return the requests that were not answered, or not always in the same way."""
    first: dict[Step, Outcome] = {}
    found: set[Step] = set()
    for outcome in (each for outcomes in histories for each in outcomes):
        known = first.setdefault(outcome.step, outcome)
        if outcome.failure or context.differing(known, outcome):
            found.add(outcome.step)
    return found


def _coverage(context: CheckContext, histories: Sequence[Sequence[Outcome]], suspects: int) -> str:
    """Return what was tried of a large suite, and what more time would add."""
    total = len(context.suite.actions)
    answered = {each.step for outcomes in histories for each in outcomes if not each.failure}
    kinds = counted(len(clusters.clusters(context.suite.actions)), "kind")
    text = f"{len(answered)} of {total} actions on a warm worker, in the recorded order and backwards; "
    text += f"{len(context.sample)} actions of {kinds} on fresh workers and in other orders"
    if suspects:
        text += f"; {counted(suspects, 'result')} differed, of which {_MOST_VICTIMS} at most are explained"
    return f"{text}; twice the --max-seconds takes twice as many of each kind"
