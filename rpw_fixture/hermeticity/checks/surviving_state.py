"""RPW214: what an ended worker left on disk changes the results of a fresh one in its place."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.checks import ended_workers, shrinking, successors
from rpw_fixture.hermeticity.checks.context import CheckContext, titles
from rpw_fixture.hermeticity.checks.input_changes import other_configuration
from rpw_fixture.hermeticity.checks.successors import SuspectVictim
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Predecessor, Step, steps

_MOST_FAILING = 4
#: Each question to shrink polluters takes two cold starts.
_MAX_QUESTIONS = 24
#: Shrink for at most this many victims.
_MOST_SHRUNK = 3


def find(context: CheckContext) -> Iterator[Finding]:
    """Start a worker where two others ended: one had other contents of the inputs, one the same."""
    if ended_workers.is_clean(context):
        return
    plain, changed = steps(*context.usable), _changed(context)
    parts = [changed, plain] if changed else [plain]
    result = context.run(
        successors.trial(context, plain, tuple(Predecessor(history=each) for each in parts))
    )
    workers = [each.outcomes for each in result.earlier[1:]] + [result.outcomes]
    guilty: list[tuple[Step, ...]] = []
    seen: set[Step] = set()
    for count, outcomes in enumerate(workers, start=1):
        for suspect in successors.suspects(context, outcomes):
            if suspect.victim not in seen:
                seen.add(suspect.victim)
                yield _blamed(context, suspect, parts[:count], guilty)


def _changed(context: CheckContext) -> tuple[Step, ...]:
    """Return requests with other contents of the inputs, and requests that fail."""
    others = [other_configuration(each) for each in context.usable]
    failing = [context.failing_variant(each) for each in context.succeeding[:_MOST_FAILING]]
    return steps(*(each for each in (*others, *failing) if each is not None))


def _blamed(
    context: CheckContext,
    suspect: SuspectVictim,
    parts: Sequence[tuple[Step, ...]],
    guilty: list[tuple[Step, ...]],
) -> Finding:
    """Return the finding with the fewest polluters; an info if it can't be reproduced."""

    def is_guilty(part: tuple[Step, ...], run: int = 0) -> bool:
        predecessors = (Predecessor(history=part),)
        return bool(part) and bool(successors.reproduced(context, suspect, predecessors, run))

    everything = tuple(step for part in parts for step in part)
    name = suspect.victim.action.name
    own = [(each,) for each in reversed(everything) if each.action.name == name]
    # The newest worker left the latest state.
    candidates = [*guilty, *own, *reversed(parts), everything]
    polluters = next((each for each in candidates if is_guilty(each)), None)
    if polluters is not None and polluters not in guilty and len(guilty) < _MOST_SHRUNK:
        polluters = shrinking.minimise(polluters, is_guilty, max_questions=_MAX_QUESTIONS)
    if polluters is None or not is_guilty(polluters, run=1):
        how = f"after a worker that served {titles(everything)} had ended"
        return successors.finding(
            context, suspect, code="RPW214", polluters=everything, how=how, is_doubtful=True
        )
    guilty.append(polluters)
    how = f"after a worker that served {titles(polluters)} had ended"
    shown = successors.reproducing(context, suspect, (Predecessor(history=polluters),), run=1)
    return successors.finding(
        context, suspect, code="RPW214", polluters=polluters, how=how, shown=shown
    )
