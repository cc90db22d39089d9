"""RPW301–304: what grows while one worker answers identical requests.

The slope is the Theil–Sen estimate: the median of the slopes between all pairs of samples, which a
burst or a warm-up does not change. The second half must grow too: a worker that stops growing is clean.
"""

from __future__ import annotations

import itertools
import statistics
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace

from rpw_fixture.hermeticity.checks import lifecycle
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import GROWING, LATER_LEFT_PROCESSES, LEFT_PROCESSES
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.findings.report import Growth
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Sample, Step, Trial, steps
from rpw_fixture.support.plurals import counted

WARM_UP, _MEASURED = 20, 80
#: Number of requests in a row, if they are fast enough.
USUAL = WARM_UP + _MEASURED
#: Programs whose heap grows until garbage collection pays: a small slope proves nothing.
_COLLECTED = frozenset(("java", "node", "MainThread", "dotnet", "deno", "bun"))
_COLLECTED_SLOPE = 4 << 20
#: Fewer samples than this prove nothing.
_FEWEST = 30
#: A slow worker gets fewer requests, so that they take about this long, seconds.
_SECONDS = 8.0
#: A run of this many requests shows whether something is emptied every 256 requests: three times.
_PROVING = 820
#: Longer runs may take about this long, seconds; and the time that each request costs besides.
LONGER_SECONDS, _OVERHEAD = 5.0, 0.0015
#: The same where a finding depends on it.
_PROVING_SECONDS = 20.0
#: Slopes are estimated from about this many samples.
_MOST_SAMPLES = 100
_MIB = 1 << 20
#: Memory that a waiting thread may take, bytes: touched parts of its stacks, and its malloc arena.
_MEMORY_OF_THREAD = 128 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Limits of growth: a finding needs more than ``slope`` per request and more than ``total``."""

    code: str
    unit: str
    slope: float
    total: float


LIMITS = {
    "memory": Limit(code="RPW301", unit="KiB of resident memory", slope=8192, total=_MIB),
    "descriptors": Limit(code="RPW302", unit="open descriptors", slope=0.1, total=5),
    "threads": Limit(code="RPW303", unit="threads", slope=0.1, total=5),
    "files": Limit(code="RPW304", unit="files in TMPDIR and HOME", slope=0.1, total=5),
}

_ORPHANS = "processes pile up below the worker (RPW112), and everything they hold with them"


def trials(context: CheckContext) -> list[Trial]:
    """Return the growth runs: one action again and again, and one that fails.

    Slow requests are sent less often, at least those of the warm-up. Empty if processes pile up: a
    hundred of them would have to be inspected after each request.
    """
    found = first_trial(context)
    action = (context.succeeding or context.usable)[0]
    failing = failing_action(context) if found else None
    if failing is not None and failing != action:
        found.append(_long_trial(context, failing))
    return found


def first_trial(context: CheckContext) -> list[Trial]:
    """Return the first growth run, for which nothing that later checks learn is needed."""
    if context.facts.read(LEFT_PROCESSES):
        return []
    return [_long_trial(context, (context.succeeding or context.usable)[0])]


def _long_trial(context: CheckContext, action: SuiteAction) -> Trial:
    count = max(WARM_UP, _affordable(context, action))
    return Trial(history=history(action, count), is_measured=True)


def failing_action(context: CheckContext) -> SuiteAction | None:
    """Return an action that fails: one of the suite, else a variant of one; None if there is none."""
    own = next((each for each in context.usable if each.exit_code != 0), None)
    return own or context.failing_variant((context.succeeding or context.usable)[0])


def _trial(context: CheckContext, action: SuiteAction) -> Trial | None:
    count = _affordable(context, action)
    return _long_trial(context, action) if count >= WARM_UP + _FEWEST else None


def find(context: CheckContext) -> Iterator[Finding]:
    """Send one action again and again and measure what the worker holds; then one that fails."""
    if context.facts.read(LEFT_PROCESSES) or context.facts.read(LATER_LEFT_PROCESSES):
        _skip(context, _ORPHANS)
        return
    action = (context.succeeding or context.usable)[0]
    samples = _samples(context, action)
    if isinstance(samples, str):
        _skip(context, samples)
        return
    known = limits(samples)
    context.growth += _measured(action, samples)
    if "memory" not in known:
        context.skip("RPW301", "memory grows with the threads that are left; fix RPW303 first")
    for limit in known.values():
        context.notes[limit.code] = (
            f"{len(samples)} samples after {WARM_UP} requests; limit {limit.slope:g} per request"
        )
    findings = list(_lasting(context, action, samples, "request"))
    yield from findings
    reported = frozenset(each.code for each in findings)
    context.facts.share(GROWING, reported)
    yield from _of_failures(context, action, reported)


def _lasting(
    context: CheckContext,
    action: SuiteAction,
    samples: Sequence[Sample],
    request: str,
    known: Collection[str] = (),
) -> Iterator[Finding]:
    """Yield what grows, if it still does in a run long enough to show that a limit is reached.

    Codes that are known are left out first, because that run takes long.
    """
    findings = [each for each in _judge(action, samples, request) if each.code not in known]
    count = longest(context, action, _PROVING, seconds=_PROVING_SECONDS) if findings else 0
    if count < _PROVING:
        yield from findings
        return
    trial = Trial(history=history(action, count), is_measured=True)
    more = [each.sample for each in context.run(trial).outcomes[WARM_UP:] if each.sample]
    growing = {
        limit.code for name, limit in limits(samples).items() if is_lasting(more, name, limit)
    }
    is_short = len(more) < _PROVING - WARM_UP  # the worker did not survive it
    yield from (each for each in findings if is_short or each.code in growing)


def longest(
    context: CheckContext, action: SuiteAction, most: int, seconds: float = LONGER_SECONDS
) -> int:
    """Return how many requests of an action, at most ``most``, take that many seconds together."""
    outcomes = context.run(_long_trial(context, action)).outcomes
    # The fastest one, because other programs on a busy machine only slow requests down.
    fastest = min(each.seconds for each in outcomes)
    return min(most, int(seconds / (fastest + _OVERHEAD)))


def is_lasting(samples: Sequence[Sample], name: str, limit: Limit) -> bool:
    """Return whether a long run grows from third to third, and to its end.

    A cache that is emptied from time to time goes back to where it was, and a full one stays as it is.
    """
    values = [_value(each, name) for each in samples][:: max(1, len(samples) // _MOST_SAMPLES)]
    third = len(values) // 3
    if third < 2:
        return False
    parts = [values[:third], values[third : 2 * third], values[2 * third :]]
    step = limit.slope * len(samples) / len(values)
    floors = [min(each) for each in parts]
    return (
        all(after - before > step * third / 2 for before, after in itertools.pairwise(floors))
        and theil_sen(parts[-1]) > step
        and floors[-1] - floors[0] > limit.total
    )


def _of_failures(
    context: CheckContext, action: SuiteAction, known: Collection[str]
) -> Iterator[Finding]:
    """Yield what only grows with failing requests: error paths may not close what others close."""
    failing = failing_action(context)
    if failing is None or failing == action:
        return
    samples = _samples(context, failing)
    if samples == _ORPHANS:
        _skip(context, _ORPHANS)
    if not isinstance(samples, str):
        context.growth += _measured(failing, samples)
        yield from _lasting(context, failing, samples, "request that fails", known)


def _skip(context: CheckContext, reason: str) -> None:
    for each in LIMITS.values():
        context.skip(each.code, reason)


def _samples(context: CheckContext, action: SuiteAction) -> Sequence[Sample] | str:
    """Return what the worker held after each request once it was warm, or why that is unknown."""
    trial = _trial(context, action)
    if trial is None:
        return f"{action.title} is too slow for {WARM_UP + _FEWEST} requests"
    outcomes = context.run(trial).outcomes
    if outcomes[-1].failure:
        stderr = outcomes[-1].stderr.strip().rpartition("\n")[2][-200:]
        count = counted(len(outcomes), "request")
        return f"the worker did not survive {count}: {outcomes[-1].failure}" + (
            f"; its stderr ends with: {stderr}" if stderr else ""
        )
    if len(lifecycle.repeatedly_added(outcomes)) >= lifecycle.MANY:
        return _ORPHANS
    samples = [each.sample for each in outcomes[WARM_UP:] if each.sample is not None]
    if len(samples) < _FEWEST:
        return "the worker's resources could not be measured"
    return samples


def theil_sen(values: Sequence[float]) -> float:
    """Return the median slope over all pairs of values, per step."""
    if len(set(values)) == 1:
        return 0.0
    pairs = itertools.combinations(enumerate(values), 2)
    return statistics.median((y - x) / (j - i) for (i, x), (j, y) in pairs)


def is_growing(values: Sequence[float], limit: Limit) -> bool:
    """Return whether values grow beyond a limit, in their second half as well."""
    half = values[len(values) // 2 :]
    return (
        theil_sen(values) > limit.slope
        and theil_sen(half) > limit.slope
        and values[-1] - values[0] > limit.total
    )


def _affordable(context: CheckContext, action: SuiteAction) -> int:
    usual = (context.succeeding or context.usable)[0]
    if action != usual:
        # A request that took hardly longer on a fresh worker is as fast on a warm one.
        more = max(0.0, context.cold(action).seconds - context.cold(usual).seconds)
        if more * USUAL < _SECONDS and _affordable(context, usual) == USUAL:
            return USUAL
    outcomes = context.run(Trial(history=history(action, 3))).outcomes
    seconds = max(0.001, min(each.seconds for each in outcomes))
    return min(USUAL, int(_SECONDS / seconds))


def _is_of_threads(samples: Sequence[Sample]) -> bool:
    """Return whether threads grow, and memory by no more than these threads take."""
    memory, threads = ([_value(each, name) for each in samples] for name in ("memory", "threads"))
    return is_growing(threads, LIMITS["threads"]) and (
        theil_sen(memory) < _MEMORY_OF_THREAD * theil_sen(threads)
    )


def limits(samples: Sequence[Sample]) -> dict[str, Limit]:
    """Return the limits that apply, by attribute of `Sample`; memory may have none."""
    found = dict(LIMITS)
    if samples[-1].programs & _COLLECTED:
        found["memory"] = replace(found["memory"], slope=_COLLECTED_SLOPE)
    if _is_of_threads(samples):
        del found["memory"]
    return found


def _measured(action: SuiteAction, samples: Sequence[Sample]) -> Iterator[Growth]:
    known = limits(samples)
    for name in LIMITS:
        yield Growth(
            action=action.name,
            resource=name,
            values=tuple(int(_value(each, name)) for each in samples),
            limit=known[name].slope if name in known else None,
        )


def values(samples: Sequence[Sample], name: str) -> list[float]:
    """Return one resource of all samples, by its attribute of `Sample`."""
    return [_value(each, name) for each in samples]


def _value(sample: Sample, name: str) -> float:
    return float(getattr(sample, name))


def history(action: SuiteAction, count: int) -> tuple[Step, ...]:
    """Return an action ``count`` times."""
    return steps(*[action] * count)


def _judge(action: SuiteAction, samples: Sequence[Sample], request: str) -> Iterator[Finding]:
    for name, limit in limits(samples).items():
        values = [_value(each, name) for each in samples]
        if not is_growing(values, limit):
            continue
        slope = theil_sen(values)
        amount = f"{slope / 1024:.1f}" if limit.code == "RPW301" else f"{slope:.2f}"
        yield Finding(
            code=limit.code,
            victim=action.name,
            summary=f"every identical {request} adds {amount} {limit.unit}",
            evidence=f"from {values[0]:.0f} to {values[-1]:.0f}{' bytes' * (name == 'memory')} over "
            f"{len(values)} requests ({action.title} each time)",
            history=history(action, WARM_UP + len(samples)),
        )
