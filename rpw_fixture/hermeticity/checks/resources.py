"""RPW301–304: what grows while one worker answers identical requests.

The slope is Theil's and Sen's: the median of all slopes between two samples, which neither a burst nor
a warm-up moves. A worker that grows and then stays flat is clean: the second half alone must grow too.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from rpw_fixture.hermeticity.bench import Bench
from rpw_fixture.hermeticity.codes import Severity
from rpw_fixture.hermeticity.findings import Finding
from rpw_fixture.hermeticity.subject import SuiteAction
from rpw_fixture.hermeticity.trials import Sample, Step, Trial, steps

_WARM_UP, _MEASURED = 20, 80
#: Programs that let their heap grow until it is worth collecting: a small slope says nothing.
_COLLECTED = frozenset(("java", "node", "MainThread", "dotnet", "deno", "bun"))
_COLLECTED_SLOPE = 4 << 20
#: Fewer samples than this say nothing.
_FEWEST = 30
#: A slow worker gets fewer requests, so that this takes about so many seconds.
_SECONDS = 8.0
_MIB = 1 << 20
#: What a thread that waits may take, bytes: touched parts of its stacks, and its arena.
_MEMORY_OF_THREAD = 128 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """When growth is a finding: more than ``slope`` for each request, and ``total`` altogether."""

    code: str
    what: str
    slope: float
    total: float


LIMITS = {
    "memory": Limit(code="RPW301", what="resident memory", slope=8192, total=_MIB),
    "descriptors": Limit(code="RPW302", what="open descriptors", slope=0.1, total=5),
    "threads": Limit(code="RPW303", what="threads", slope=0.1, total=5),
    "files": Limit(code="RPW304", what="files in TMPDIR and HOME", slope=0.1, total=5),
}


def find(bench: Bench) -> Iterator[Finding]:
    """Sends one action again and again and looks at what the worker holds."""
    if bench.has_orphans:
        for each in LIMITS.values():
            bench.skip(each.code, "processes pile up below the worker (RPW112), and all they hold")
        return
    action = (bench.good or bench.usable)[0]
    count = _affordable(bench, action)
    if count < _WARM_UP + _FEWEST:
        for each in LIMITS.values():
            bench.skip(each.code, f"{action.name} is too slow for {_WARM_UP + _FEWEST} requests")
        return
    history = steps(*[action] * count)
    outcomes = bench.run(Trial(history=history, is_measured=True)).outcomes
    samples = [each.sample for each in outcomes[_WARM_UP:] if each.sample is not None]
    if len(samples) < _FEWEST:
        for each in LIMITS.values():
            bench.skip(each.code, "the worker did not survive, or could not be looked at")
        return
    if _is_of_threads(samples):
        bench.skip(
            "RPW301", "memory grows with the threads that are left (RPW303); mend that first"
        )
    for name, usual in LIMITS.items():
        if usual.code in bench.skipped:
            continue
        limit = _limit(usual, samples[-1])
        bench.notes[limit.code] = (
            f"{len(samples)} samples after {_WARM_UP} requests; found above {limit.slope:g} each"
        )
        yield from _judge(action, limit, [_value(each, name) for each in samples], history)


def theil_sen(values: Sequence[float]) -> float:
    """The median slope over all pairs of values, per step."""
    pairs = itertools.combinations(enumerate(values), 2)
    return statistics.median((y - x) / (j - i) for (i, x), (j, y) in pairs)


def is_growing(values: Sequence[float], limit: Limit) -> bool:
    """Whether values grow beyond a limit, in their second half as well."""
    half = values[len(values) // 2 :]
    return (
        theil_sen(values) > limit.slope
        and theil_sen(half) > limit.slope
        and values[-1] - values[0] > limit.total
    )


def _affordable(bench: Bench, action: SuiteAction) -> int:
    outcomes = bench.run(Trial(history=steps(action, action, action))).outcomes
    seconds = max(0.001, min(each.seconds for each in outcomes))
    return min(_WARM_UP + _MEASURED, int(_SECONDS / seconds))


def _is_of_threads(samples: Sequence[Sample]) -> bool:
    """Whether there are ever more threads, and no more memory than these take."""
    memory, threads = ([_value(each, name) for each in samples] for name in ("memory", "threads"))
    return is_growing(threads, LIMITS["threads"]) and (
        theil_sen(memory) < _MEMORY_OF_THREAD * theil_sen(threads)
    )


def _limit(usual: Limit, sample: Sample) -> Limit:
    if usual is LIMITS["memory"] and sample.programs & _COLLECTED:
        return replace(usual, slope=_COLLECTED_SLOPE)
    return usual


def _value(sample: Sample, name: str) -> float:
    return float(getattr(sample, name))


def _judge(
    action: SuiteAction, limit: Limit, values: list[float], history: tuple[Step, ...]
) -> Iterator[Finding]:
    if not is_growing(values, limit):
        return
    slope = theil_sen(values)
    told = f"{slope / 1024:.1f} KiB" if limit.code == "RPW301" else f"{slope:.2f}"
    yield Finding(
        code=limit.code,
        severity=Severity.ERROR,
        victim=action.name,
        summary=f"{limit.what} grow by {told} with every identical request",
        evidence=f"from {values[0]:.0f} to {values[-1]:.0f} over {len(values)} requests "
        f"({action.name} each time)",
        history=history,
    )
