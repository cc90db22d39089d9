"""RPW209: the environment, one factor at a time."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import glob
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence

from rpw_fixture.hermeticity.checks.cold_runs import SEEDS
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import COLD_RESULTS, ORDER_IGNORED
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import SEEN_ONCE, Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.harness import cold
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    RESPONSE,
    Outcome,
    Trial,
    UnavailableError,
    Variation,
    differing,
    steps,
)
from rpw_fixture.hermeticity.trials.worker_session import TIMEOUT

_CLOCK = "clock"
_NO_EFFECT = {
    "TZ": "its data are not installed",
    "locale": "only its variables are: tr_TR.UTF-8 is not installed",
    _CLOCK: "libfaketime changes nothing for a probe process",
}
_FAKETIME = "/usr/lib/*/faketime/libfaketime.so.1"
#: Two start times long ago that have no part in common. They are compared with each other and not with
#: the true time, because libfaketime itself has effects (0.9.10 breaks sleeping on the monotonic clock).
_LONG_AGO = ("@2019-10-20 11:12:13", "@2008-02-29 23:45:56")
_OLD_MTIME = 1_234_567_890
#: Number of the confirming repetition: one that no other check has run long before.
_AGAIN = 3
#: Repetitions of an action whose results differ among fresh workers anyway.
_MORE = 3
#: Cold runs of one factor may take about this long together, seconds.
_SECONDS = 5.0
#: The same where a preloaded library slows a runtime down; a JVM starts many times slower.
_SLOWED_SECONDS = 0.5
#: Time limit for a request with a preloaded library: this many usual starts, and a least time, seconds.
_START_TIMES, _LEAST_TIMEOUT = 10.0, 2.0


def begin(context: CheckContext) -> None:
    """Begin a trial of the clock: a runtime that can't stand its library waits until it is over."""
    for usual, _ in _pairs(context):
        if usual.factor == _CLOCK:
            context.harness.begin(_trial(context, usual))


def find(context: CheckContext) -> Iterator[Finding]:
    """Run all actions on one worker under each factor, and cold where that makes a difference."""
    if not context.usable:
        return
    pairs = list(_pairs(context))
    untried: dict[str, str] = {}
    if not glob.glob(_FAKETIME):
        untried[_CLOCK] = "libfaketime is not installed; RPW201 runs at different seconds"
    if sys.platform == "linux" and len(os.sched_getaffinity(0)) < 2:
        untried["CPU count"] = "this machine has only one processor"
    untried.update(_without_effect(context, pairs))
    try:
        for usual, varied in _uncleared(context, pairs):
            yield from _compared(context, usual, varied, untried)
    finally:
        _remove_faketime_files(context)
    factors = dict.fromkeys(varied.factor for _, varied in pairs)
    context.notes["RPW209"] = (
        f"varied: {', '.join(each for each in factors if each not in untried)}"
    )
    if untried:
        text = "; ".join(f"{factor} ({reason})" for factor, reason in untried.items())
        context.notes["RPW209"] += f"; not varied: {text}"


def _without_effect(
    context: CheckContext, pairs: Sequence[tuple[Variation, Variation]]
) -> dict[str, str]:
    """Return the factors whose variation no probe process sees, with the reason."""
    plain = [varied for usual, varied in pairs if usual is BASE and not varied.is_reversed]
    probe = functools.cache(functools.partial(_effects, context))
    together = probe(_joined(plain))
    found: dict[str, str] = {}
    for usual, varied in pairs:
        seen = together if usual is BASE and together else probe(varied)
        one, other = (each.get(varied.factor) for each in (probe(usual), seen))
        if one is not None and one == other:
            reason = _NO_EFFECT.get(varied.factor, "it changes nothing for a probe process")
            found[varied.factor] = reason
    return found


def _effects(context: CheckContext, variation: Variation) -> Mapping[str, object]:
    try:
        return context.harness.effects(variation)
    except UnavailableError:
        return {}  # the comparison says why


def _compared(
    context: CheckContext, usual: Variation, varied: Variation, untried: dict[str, str]
) -> Iterator[Finding]:
    """Yield the findings under one factor; if it can't be varied, add it to ``untried``."""
    try:
        # Where the library itself does harm, differences prove nothing.
        if usual.factor == _CLOCK and not _bears(context, usual, varied):
            untried[_CLOCK] = "the worker fails under libfaketime, whatever the time"
            return
        # An input root that was used before lists files in another order, so only cold runs count.
        suspects = (
            _unknown_orders(context, varied)
            if varied.is_reversed
            else _suspects(context, usual, varied)
        )
    except UnavailableError as error:
        untried[varied.factor] = str(error)
        return
    try:
        for action in suspects:
            found = list(_confirmed(context, action, usual, varied))
            yield from found or _doubtful(context, action, usual, varied)
    except UnavailableError as error:
        untried[varied.factor] = str(error)


def _unknown_orders(context: CheckContext, varied: Variation) -> Sequence[SuiteAction]:
    """Return the actions, if that does not take long, that may follow the order of their inputs.

    Raises:
        UnavailableError: the order can't be varied, so that no earlier run says anything about it.
    """
    context.harness.effects(varied)
    if context.facts.read(ORDER_IGNORED):
        return ()
    return context.affordable(_SECONDS, len(context.usable))


def _doubtful(
    context: CheckContext, action: SuiteAction, usual: Variation, varied: Variation
) -> Iterator[Finding]:
    """Yield a difference that only a warm worker showed under a factor, as info."""
    if usual in SEEDS or varied.is_reversed:
        return
    pairs = [each for each in _pairs_of(context, usual, varied) if each[0].step.action == action]
    aspects = _aspects(context, *pairs[0], usual) if pairs else []
    if not aspects or (usual is BASE and context.differing(context.cold(action), pairs[0][0])):
        return  # where the usual run was the odd one, the factor has no part in it
    labels = ("usual", f"other {varied.factor}")
    yield Finding(
        code="RPW209",
        severity=Severity.INFO,
        victim=action.name,
        outputs=outputs_among(aspects),
        summary=_summary(action, varied) + SEEN_ONCE,
        evidence=context.explain(*pairs[0], aspects, labels),
        history=steps(*context.usable[: context.usable.index(action) + 1]),
        variation=varied,
        is_doubtful=True,
    )


def _summary(action: SuiteAction, varied: Variation) -> str:
    return f"the result of {action.name} depends on the environment: {varied.factor}"


def _bears(context: CheckContext, usual: Variation, varied: Variation) -> bool:
    """Return whether the worker serves all actions in time where both are preloaded with a library."""
    return _works(context, usual) and not _times_out(context, varied)


def _works(context: CheckContext, variation: Variation) -> bool:
    trial = _trial(context, variation)
    outcomes = context.run(trial).outcomes
    return len(outcomes) == len(trial.history) and all(
        each.is_as_expected or context.instability.unstable(each.step.action) for each in outcomes
    )


def _times_out(context: CheckContext, variation: Variation) -> bool:
    outcomes = context.run(_trial(context, variation)).outcomes
    return bool(outcomes) and outcomes[-1].failure == TIMEOUT


def _trial(context: CheckContext, variation: Variation) -> Trial:
    """Return a trial of all actions; with a library that some runtimes can't stand, none waits long."""
    timeout = None
    if _has_library(variation):
        usual = context.facts.read(COLD_RESULTS).start_seconds
        timeout = min(context.suite.worker.timeout, max(_LEAST_TIMEOUT, _START_TIMES * usual))
    history = steps(*_sequence(context, variation))
    return Trial(history=history, variation=variation, timeout=timeout)


def _uncleared(
    context: CheckContext, pairs: Sequence[tuple[Variation, Variation]]
) -> Sequence[tuple[Variation, Variation]]:
    """Return the pairs left to try: all, unless all plain factors varied at once change nothing.

    Runtimes take another hash seed for each start, so that fresh workers differ already where a result
    follows it; if they do not, one seed that is set shows whether a worker falls back on a fixed one.
    """
    plain = [
        varied
        for usual, varied in pairs
        if usual is BASE and not varied.is_reversed and not _has_library(varied)
    ]
    seeded = [pair for pair in pairs if pair[0] in SEEDS]
    try:
        if _suspects(context, BASE, _joined([*plain, *(varied for _, varied in seeded[:1])])):
            return pairs
    except UnavailableError:
        return pairs
    is_stable = not any(map(context.instability.unstable, context.usable))
    cleared = [*plain, *(varied for _, varied in seeded if is_stable)]
    return [pair for pair in pairs if pair[1] not in cleared]


def _joined(variations: Sequence[Variation]) -> Variation:
    joined = Variation(factor="many factors")
    usual = {each.name: getattr(BASE, each.name) for each in dataclasses.fields(BASE)}
    for varied in variations:
        changes = {name: getattr(varied, name) for name in usual.keys() - {"factor"}}
        changes = {name: value for name, value in changes.items() if value != usual[name]}
        for name in changes.keys() & {"environment", "steps"}:
            changes[name] = getattr(joined, name) + changes[name]
        joined = dataclasses.replace(joined, **changes)
    return joined


def _remove_faketime_files(context: CheckContext) -> None:
    """Remove the shared memory that libfaketime leaves behind when a process is killed."""
    since = time.time() - context.harness.book.seconds - 1
    for path in glob.glob("/dev/shm/*faketime_s*_*"):  # noqa: S108 - a fixed name of that library
        pid = path.rpartition("_")[2]
        with contextlib.suppress(OSError):
            if not os.path.exists(f"/proc/{pid}") and os.stat(path).st_mtime >= since:
                os.unlink(path)


def _pairs(context: CheckContext) -> Iterator[tuple[Variation, Variation]]:
    """Yield the variations to compare, without the factors that the suite sets itself."""
    set_by_action = {name for name, _ in context.suite.worker.environment}
    for varied in _variations():
        if varied.factor in set_by_action:
            continue
        # LC_ALL has precedence over the others.
        hidden = {"LANG", "LANGUAGE"} if "LC_ALL" in set_by_action else set[str]()
        left = tuple(each for each in varied.environment if each[0] not in set_by_action | hidden)
        is_set = bool(varied.environment) and not left
        if not is_set and not (context.is_remote and _needs_machine(varied)):
            yield BASE, dataclasses.replace(varied, environment=left)
    # An endpoint's machine may lack the library, and would keep what it leaves behind.
    for library in sorted(glob.glob(_FAKETIME))[:1] if not context.is_remote else ():
        if not set_by_action & {"LD_PRELOAD", "FAKETIME"}:
            yield _clock(library, _LONG_AGO[0]), _clock(library, _LONG_AGO[1])
    if "PYTHONHASHSEED" not in set_by_action:
        for seed in SEEDS[1:]:
            yield SEEDS[0], seed


def _needs_machine(varied: Variation) -> bool:
    """Return whether more is varied than a client can vary: variables that need no library."""
    names = {name for name, _ in varied.environment}
    return not names or _has_library(varied)


def _has_library(varied: Variation) -> bool:
    return any(name == "LD_PRELOAD" for name, _ in varied.environment)


def _variations() -> Iterator[Variation]:
    yield Variation(factor="TZ", environment=(("TZ", "Pacific/Kiritimati"),))
    locale = "tr_TR.UTF-8"
    yield Variation(
        factor="locale", environment=(("LANG", locale), ("LC_ALL", locale), ("LANGUAGE", "tr"))
    )
    yield Variation(factor="umask", umask=0o077)
    # No name that a tool may use where it finds none.
    yield Variation(factor="user", environment=(("USER", "rpw-user"), ("LOGNAME", "rpw-user")))
    yield Variation(factor="HOME", home="home/of/somebody/else")
    yield Variation(factor="TMPDIR", temporary="tmp/of/somebody/else")
    yield Variation(factor="an unrelated variable", environment=(("RPW_CANARY", "canary"),))
    yield Variation(factor="directory order", is_reversed=True)
    yield Variation(factor="input mtimes", input_mtime=_OLD_MTIME)
    if sys.platform == "linux":
        yield Variation(factor="hostname", steps=(("rename_host", "rpw-elsewhere"),))
        if len(os.sched_getaffinity(0)) > 1:
            yield Variation(factor="CPU count", steps=(("use_processors", 1),))


def _clock(library: str, fake_time: str) -> Variation:
    """Return a variation with another time of day that leaves waiting and file times alone."""
    return Variation(
        factor=_CLOCK,
        environment=(
            ("FAKETIME", fake_time),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
            ("LD_PRELOAD", library),
            ("NO_FAKE_STAT", "1"),
        ),
    )


def _suspects(context: CheckContext, usual: Variation, varied: Variation) -> Sequence[SuiteAction]:
    """Return the actions whose result, in one history, depends on the factor, or is missing."""
    found = _differing(context, usual, varied)
    if found and usual.factor == _CLOCK:
        context.instability.await_tick()
    # Repeat the actions only now: what the clock changed before the suspicious runs shows up as well.
    if found and usual not in SEEDS and context.learn(found):
        found = _differing(context, usual, varied)
    return found


def _differing(context: CheckContext, usual: Variation, varied: Variation) -> Sequence[SuiteAction]:
    pairs = _pairs_of(context, usual, varied)
    found = [one.step.action for one, other in pairs if _aspects(context, one, other, usual)]
    return [*found, *_sequence(context, varied)[len(pairs) :]]


def _pairs_of(
    context: CheckContext, usual: Variation, varied: Variation
) -> Sequence[tuple[Outcome, Outcome]]:
    results = context.run_all([_trial(context, each) for each in (usual, varied)])
    return list(zip(results[0].outcomes, results[1].outcomes, strict=False))


def _sequence(context: CheckContext, varied: Variation) -> Sequence[SuiteAction]:
    is_slow = _has_library(varied)
    return context.affordable(_SLOWED_SECONDS, len(context.usable)) if is_slow else context.usable


def _aspects(context: CheckContext, one: Outcome, other: Outcome, usual: Variation) -> list[str]:
    if usual.factor == _CLOCK:
        # What shows another time in each run is nondeterminism, which RPW201 reports.
        unstable = frozenset(context.instability.unstable(one.step.action))
        return [each for each in context.differing(one, other) if each not in unstable]
    # With a fixed seed, results that are unstable because of the hash order can be compared.
    return differing(one, other) if usual in SEEDS else context.differing(one, other)


def _confirmed(
    context: CheckContext, action: SuiteAction, usual: Variation, varied: Variation
) -> Iterator[Finding]:
    """Yield the finding if fresh workers show it as well, twice."""
    one, other = _cold_pair(context, action, usual, varied, 0)
    aspects = _aspects(context, one, other, usual)
    if not aspects:
        return
    aspects = _lasting(context, action, (usual, varied), (one, other), aspects)
    if not aspects:
        return
    if varied.is_reversed:
        # An input root that was used before lists its inputs in another order, too: not a leak.
        context.instability.leave_out(action, one, other)
    yield Finding(
        code="RPW209",
        severity=Severity.WARNING if aspects == [RESPONSE] else Severity.ERROR,
        victim=action.name,
        outputs=outputs_among(aspects),
        summary=_summary(action, varied),
        evidence=context.explain(one, other, aspects, ("usual", f"other {varied.factor}")),
        history=steps(action),
        variation=varied,
    )


def _lasting(
    context: CheckContext,
    action: SuiteAction,
    variations: tuple[Variation, Variation],
    pair: tuple[Outcome, Outcome],
    aspects: list[str],
) -> list[str]:
    """Return the aspects that are equal whenever the environment is."""
    usual = variations[0]
    # Where fresh workers differ anyway, chance may look like a factor at first.
    count = _MORE if context.instability.unstable(action) else 1
    for run in range(_AGAIN, _AGAIN + count):
        again = _cold_pair(context, action, *variations, run)
        noise = {
            name
            for before, after in zip(pair, again, strict=True)
            for name in _aspects(context, before, after, usual)
        }
        aspects = [each for each in aspects if each not in noise]
    if aspects and usual in SEEDS:
        # Two runs at once have different folders, whose paths may reach a result.
        runs = (_AGAIN + count, _AGAIN + count + 1)
        twice = context.run_all([cold(action, run=run, variation=usual) for run in runs])
        paths = _aspects(context, twice[0].outcomes[0], twice[1].outcomes[0], usual)
        aspects = [each for each in aspects if each not in paths]
    return aspects


def _cold_pair(
    context: CheckContext, action: SuiteAction, usual: Variation, varied: Variation, run: int
) -> tuple[Outcome, Outcome]:
    trials = [cold(action, run=run, variation=each) for each in (usual, varied)]
    one, other = context.run_all(trials)
    return one.outcomes[0], other.outcomes[0]
