"""RPW202, RPW109 and RPW212: histories in which a warm worker is compared with fresh ones.

The histories are the recorded order twice, orders that cover every ordered pair, failing requests
before good ones, two configurations at the same paths, and longer random ones. `blame` shrinks every
difference to the fewest requests.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.checks import orders
from rpw_fixture.hermeticity.checks.blame import blame, suspicions
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.elsewhere import REPEATED, fresh_elsewhere
from rpw_fixture.hermeticity.checks.input_changes import other_configuration
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import Outcome, Step, Trial, steps
from rpw_fixture.hermeticity.trials.worker_session import TIMEOUT

#: At most this many actions are in a square, whose size grows with the square of their number.
_SQUARE = 16
#: A square has as many cold starts as actions; they may take about this long together, seconds.
_SQUARE_SECONDS = 8.0
_RANDOM_HISTORIES = 4
#: One worker goes on with at most this many histories: what follows a crash is not seen.
_MOST_TAILS = 3
_MOST_FAILING = 4
_CODES = ("RPW109", "RPW202", "RPW212")


def begin(context: CheckContext) -> None:
    """Begin the trial that waits after each response."""
    context.harness.begin(lingering(context))


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare each result in each history with that of a fresh worker."""
    last = context.run(recorded_order(context)).outcomes[-1]
    if last.failure == TIMEOUT:
        # Each longer history would cost another timeout.
        yield from blame(
            context, suspicions(context, [context.run(recorded_order(context)).outcomes])
        )
        for code in _CODES:
            context.skip(code, f"the worker breaks the protocol when warm: {last.failure}")
        return
    results = context.run_all(trials(context))
    outcomes = [*_elsewhere(context), *(each.outcomes for each in results)]
    findings = list(blame(context, suspicions(context, outcomes)))
    yield from findings
    if last.failure:
        _note_coverage(context, last, outcomes, findings)


def _elsewhere(context: CheckContext) -> list[Sequence[Outcome]]:
    """Return the outcomes of one worker in another place, if no fresh worker's result depends on that."""
    found = context.harness.known(Trial(history=steps(*context.usable), variation=REPEATED))
    if found is None:
        return []
    for each in found.outcomes:
        if not context.differing(context.cold(each.step.action), each):
            continue
        alone = context.harness.known(fresh_elsewhere(each.step.action))
        if alone is None or context.differing(context.cold(each.step.action), alone.outcomes[0]):
            return []
    return [found.outcomes]


def _note_coverage(
    context: CheckContext,
    last: Outcome,
    histories: Sequence[Sequence[Outcome]],
    findings: Sequence[Finding],
) -> None:
    """Note what could be judged although the worker breaks the protocol when warm."""
    compared = sum(not each.failure for outcomes in histories for each in outcomes[1:])
    after = next((each.polluters for each in findings if each.code != "RPW202"), ())
    text = f"the worker breaks the protocol when warm: {last.failure}"
    text += f" of {last.step.action.title}" + (f" after {', '.join(after)}" if after else "")
    if last.stderr.strip():
        text += f"; its stderr ends with: {last.stderr.strip().rpartition(chr(10))[2][-200:]}"
    for code in _CODES:
        if compared:
            context.notes[code] = f"{compared} later answers were compared, though {text}"
        else:
            context.skip(code, text)


def stops_answering(context: CheckContext) -> bool:
    """Return whether a warm worker leaves a request of the recorded order unanswered."""
    return context.run(recorded_order(context)).outcomes[-1].failure == TIMEOUT


def recorded_order(context: CheckContext) -> Trial:
    """Return a trial of all actions in their recorded order, twice."""
    return context.recorded_order


def trials(context: CheckContext) -> list[Trial]:
    """Return the trials of all histories; one of them also shows what happens after responses."""
    late, row = lingering(context), first_row(context)
    return [late if each == row else Trial(history=each) for each in histories(context)]


def lingering(context: CheckContext) -> Trial:
    """Return a trial of different actions that waits after each response, where that can be seen."""
    return Trial(history=first_row(context), lingers=not context.is_remote)


def first_row(context: CheckContext) -> tuple[Step, ...]:
    """Return requests for different actions, the first history that covers pairs of them."""
    square = context.affordable(_SQUARE_SECONDS, _SQUARE)
    return steps(*orders.pair_covering(square)[0])


def histories(context: CheckContext) -> list[tuple[Step, ...]]:
    """Return the histories to try, most likely ones first."""
    plain = steps(*context.usable)
    failing_first = _failing_first(context)
    failing = _failing(context)
    plans = [recorded_order(context).history]
    square = context.affordable(_SQUARE_SECONDS, _SQUARE)
    length = min(60, 3 * len(plain) + len(failing))
    at_random = orders.at_random(
        [*plain, *failing], length=length, count=_RANDOM_HISTORIES, seed=context.seed
    )
    rows = [steps(*row) for row in orders.pair_covering(square)]
    # Those without failing requests come first: what a worker does after a crash is not known.
    plans += _continued(rows, [*_two_configurations(context), *at_random])
    # A fresh worker gets these: where it has done a request before, it may not fail any more.
    plans += [*_after_failures(context, failing), *failing_first]
    if not failing or not context.succeeding:
        context.skip("RPW109", "no request was found that fails and is answered")
    return plans


def _continued(
    rows: Sequence[tuple[Step, ...]], more: Sequence[tuple[Step, ...]]
) -> list[tuple[Step, ...]]:
    """Return histories that go on with others, so that few further workers are started for those.

    The first one is left as it is, because its worker is watched after each response.
    """
    first, others = rows[:1], rows[1:]
    count = max(len(others), -(-len(more) // _MOST_TAILS))
    tails = [itertools.chain.from_iterable(more[place::count]) for place in range(count)]
    pairs = itertools.zip_longest(others, tails, fillvalue=())
    return [*first, *((*row, *tail) for row, tail in pairs)]


def _two_configurations(context: CheckContext) -> list[tuple[Step, ...]]:
    """Return a history in which actions of two configurations have the same paths, and take turns.

    With path mapping, Bazel sends such requests to one worker (bazel#27591).
    """
    history: list[Step] = []
    for action in context.affordable(_SQUARE_SECONDS, _SQUARE):
        other = other_configuration(action)
        if other is not None and not context.is_remote:
            history += steps(action, other, action)
    return [tuple(history)] if history else []


def _failing(context: CheckContext) -> tuple[Step, ...]:
    own = [each for each in context.usable if each.exit_code != 0]
    made = [context.failing_variant(each) for each in context.succeeding[:_MOST_FAILING]]
    # The made ones first: where an action was done before, one without its inputs may not fail any more.
    return steps(*(each for each in made if each is not None), *own)


def _failing_first(context: CheckContext) -> list[tuple[Step, ...]]:
    """Return a history of requests without their inputs, which most tools answer with a failure, then all.

    The answers show which of them fail.
    """
    chosen = context.succeeding[:_MOST_FAILING]
    likely = {each: found for each in chosen if (found := context.without_inputs(each)) is not None}
    if not likely:
        return []
    history = steps(*likely.values(), *context.succeeding)
    answered = {each.step.action: each for each in context.run(Trial(history=history)).outcomes}
    for action, variant in likely.items():
        outcome = answered.get(variant)
        if outcome is not None and not outcome.failure and outcome.exit_code:
            context.note_failing(action, variant)
    return [history]


def _interleaved(failing: tuple[Step, ...], good: tuple[Step, ...]) -> tuple[Step, ...]:
    pairs = ((failing[place % len(failing)], each) for place, each in enumerate(good))
    return tuple(step for pair in pairs for step in pair)


def _after_failures(context: CheckContext, failing: tuple[Step, ...]) -> list[tuple[Step, ...]]:
    """Return histories with failing requests before good ones: alternating, then all of them first."""
    good = steps(*context.succeeding)
    if not failing or not good:
        return []
    turns = (
        _interleaved((*failing[place:], *failing[:place]), good) for place in range(len(failing))
    )
    return [tuple(itertools.chain(*turns)), (*failing, *good)]
