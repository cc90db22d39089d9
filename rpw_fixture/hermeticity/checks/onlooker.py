"""RPW206 and the part of RPW208 that lies in the input root: seen in what other checks ran."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.bench import Bench
from rpw_fixture.hermeticity.findings import Finding
from rpw_fixture.hermeticity.trials import Outcome, steps

_SHOWN = 10


def find(bench: Bench) -> Iterator[Finding]:
    """Looks at the cold run of each action for inputs changed and files left."""
    for action in bench.usable:
        outcome = bench.cold(action)
        if outcome.changed_inputs:
            yield _mutation(outcome)
        if outcome.strays:
            yield _stray(outcome)


def _mutation(outcome: Outcome) -> Finding:
    action = outcome.step.action
    return Finding(
        code="RPW206",
        victim=action.name,
        summary=f"{action.name} changes its inputs: {', '.join(outcome.changed_inputs[:_SHOWN])}",
        evidence="content, kind or existence of these inputs is another one after the response",
        history=steps(action),
    )


def _stray(outcome: Outcome) -> Finding:
    action = outcome.step.action
    return Finding(
        code="RPW208",
        victim=action.name,
        summary=f"{action.name} leaves files that are no declared output: "
        f"{', '.join(outcome.strays[:_SHOWN])}",
        evidence="found in the input root after the response",
        history=steps(action),
    )
