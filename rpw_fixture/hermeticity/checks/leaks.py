"""RPW202, RPW109 and RPW212: histories in which a warm worker is compared with fresh ones.

Recorded order twice over, orders that cover every ordered pair, failing requests before good ones, and
longer histories at random. Whatever differs is shrunk by `blame`.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity import orders
from rpw_fixture.hermeticity.bench import Bench
from rpw_fixture.hermeticity.blame import blame, suspicions
from rpw_fixture.hermeticity.findings import Finding
from rpw_fixture.hermeticity.running.conversation import TIMEOUT
from rpw_fixture.hermeticity.trials import Step, Trial, steps

#: Squares grow with the square of the number of actions: of more than this, some are taken.
_SQUARE = 16
#: A square has as many cold starts as actions; they may take about so long, seconds.
_SQUARE_SECONDS = 8.0
_RANDOM_HISTORIES = 4
_MOST_FAILING = 4


def find(bench: Bench) -> Iterator[Finding]:
    """Compares each result in each history with that of a fresh worker."""
    outcomes = bench.run(_recorded(bench)).outcomes
    if outcomes[-1].failure:
        # Whoever does not keep the protocol for that long can't be told anything else about.
        findings = list(blame(bench, suspicions(bench, [outcomes])))
        yield from findings
        for code in ("RPW109", "RPW202", "RPW212"):
            bench.skip(code, f"the worker breaks the protocol when warm: {outcomes[-1].failure}")
        return
    results = bench.run_all([Trial(history=each) for each in histories(bench)])
    yield from blame(bench, suspicions(bench, [each.outcomes for each in results]))


def stalls(bench: Bench) -> bool:
    """Whether a warm worker leaves a request of the recorded order unanswered."""
    return bench.run(_recorded(bench)).outcomes[-1].failure == TIMEOUT


def _recorded(bench: Bench) -> Trial:
    return Trial(history=steps(*bench.usable) * 2)


def histories(bench: Bench) -> list[tuple[Step, ...]]:
    """The histories tried, most likely ones first."""
    recorded = steps(*bench.usable)
    failing = _failing(bench)
    plans = [_recorded(bench).history]
    square = bench.affordable(_SQUARE_SECONDS, _SQUARE)
    plans += [steps(*row) for row in orders.pair_covering(square)]
    plans += _after_failures(bench, failing)
    length = min(60, 3 * len(recorded) + len(failing))
    plans += orders.at_random(
        [*recorded, *failing], length=length, count=_RANDOM_HISTORIES, seed=bench.seed
    )
    return plans


def _failing(bench: Bench) -> tuple[Step, ...]:
    own = [each for each in bench.usable if each.exit_code != 0]
    made = [bench.failing(each) for each in bench.good[:_MOST_FAILING]]
    return steps(*own, *(each for each in made if each is not None))


def _after_failures(bench: Bench, failing: tuple[Step, ...]) -> list[tuple[Step, ...]]:
    """Each failing request before good ones: first each with its successor, then all at once."""
    good = steps(*bench.good)
    if not failing or not good:
        bench.skip("RPW109", "no request could be found that fails and is answered")
        return []
    interleaved: list[Step] = []
    for place, each in enumerate(good):
        interleaved += [failing[place % len(failing)], each]
    return [tuple(interleaved), (*failing, *good)]
