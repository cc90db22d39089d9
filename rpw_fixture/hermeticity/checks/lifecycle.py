"""RPW106 and RPW112: the end of a worker, and processes that should have ended with it."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.bench import Bench
from rpw_fixture.hermeticity.findings import Finding
from rpw_fixture.hermeticity.trials import Outcome, Trial, steps

_PATIENCE = 5.0
_REQUESTS = 3


def find(bench: Bench) -> Iterator[Finding]:
    """Sends a few identical requests, closes stdin and waits."""
    action = (bench.good or bench.usable)[0]
    trial = Trial(history=steps(*[action] * _REQUESTS), eof_patience=_PATIENCE)
    result = bench.run(trial)
    if len(result.outcomes) < _REQUESTS or result.outcomes[-1].failure:
        for code in ("RPW106", "RPW112"):
            bench.skip(code, "the worker did not survive a few identical requests")
        return
    if not result.ending.is_by_itself:
        yield Finding(
            code="RPW106",
            summary=f"the worker still runs {_PATIENCE:g} s after its stdin was closed",
            evidence="it was killed then",
            history=trial.history,
        )
    lasting = _lasting(result.outcomes)
    if lasting:
        bench.has_orphans = True
        yield Finding(
            code="RPW112",
            victim=action.name,
            summary="processes started for a request outlive its response",
            evidence="after the response there still ran: " + ", ".join(lasting),
            history=trial.history,
        )
    elif result.ending.leftovers:
        yield Finding(
            code="RPW112",
            victim=action.name,
            summary="processes that the worker started outlive it",
            evidence=f"{result.ending.leftovers} process(es) had to be killed after it ended",
            history=trial.history,
        )


def _lasting(outcomes: tuple[Outcome, ...]) -> list[str]:
    """Processes that later requests added and that stayed; helpers of the first one may stay."""
    known = set(outcomes[0].children)
    return [each for each in outcomes[-1].children if each not in known]
