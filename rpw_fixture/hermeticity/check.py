"""Running all checks on a suite, and what becomes of their findings: the report.

`checks.check_list` has the checks and their order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.errors import ConfigError, EnvironmentLacksError, Interrupted
from rpw_fixture.hermeticity.carriers import locating
from rpw_fixture.hermeticity.checks import (
    cache_poisoning,
    confirming,
    pieces,
    replaying,
    result_memory,
    state_leaks,
    worker_keys,
)
from rpw_fixture.hermeticity.checks.blame import code_of_rule
from rpw_fixture.hermeticity.checks.check_list import PROTOCOL, Check, in_order
from rpw_fixture.hermeticity.checks.context import LARGE, USUAL_LIMIT, CheckContext
from rpw_fixture.hermeticity.findings import baseline, reproducers
from rpw_fixture.hermeticity.findings.codes import CODES, Severity
from rpw_fixture.hermeticity.findings.finding import (
    Finding,
    Identity,
    Report,
    merged,
    states,
    with_edits,
)
from rpw_fixture.hermeticity.findings.history_file import History
from rpw_fixture.hermeticity.progress import Announcer, ProgressTracker, weight
from rpw_fixture.hermeticity.suites import recording, shards
from rpw_fixture.hermeticity.suites.recording import RecordedAction, suites
from rpw_fixture.hermeticity.suites.shards import WHOLE, Part, Shard
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials.harness import Harness, OutOfTimeError
from rpw_fixture.hermeticity.trials.trial import NO_RESULT, UnavailableError

_ALL = frozenset(CODES)
_RECORDED = ("RPW402", "RPW403")
#: Codes that compare results, so that the report says what was left out.
_COMPARING = confirming.COMPARED | {"RPW109", "RPW202", "RPW209", "RPW210", "RPW212"}
_SHOWN = 6
_WORST_FIRST = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What to check, and how thoroughly.

    Attributes:
        selected: codes to check.
        jobs: number of trials that run at once.
        max_seconds: time limit for the whole check, seconds; None for no limit.
        seed: decides which samples are taken where not everything can be tried.
        reproducers: folder for a reproducer of each finding; None to write none.
        baseline: file of accepted findings; None to accept none.
        progress: follows the run; None to follow it with nothing.
        cache_poisoning: count wrong action-cache entries; only for recordings.
        target: an REAPI server that runs the actions; None to run them on this machine.
        executor: an REAPI server that runs the trials as actions; None to run them on this machine.
        cache: folder in which results of trials are remembered; None to remember none.
        shard: the part of the workers, and of their checks, to run.
        eof_patience: seconds that a worker may take to end after its stdin was closed (RPW106).
        pause: seconds of silence between two requests that are tried; 0 for no such trial.
        locates: search for where the state of each finding lives.
    """

    selected: frozenset[str] = _ALL
    jobs: int = 2
    max_seconds: float | None = None
    seed: int = 0
    reproducers: Path | None = None
    baseline: Path | None = None
    progress: ProgressTracker | None = None
    cache_poisoning: bool = False
    target: ExistingServer | None = None
    executor: ExistingServer | None = None
    cache: Path | None = None
    shard: Shard = WHOLE
    eof_patience: float = 5.0
    pause: float = 3.0
    locates: bool = True


def check(suite: Suite, options: Options | None = None) -> Report:
    """Check a worker with the actions of a suite.

    Raises:
        ConfigError: when the suite can't be run: its command can't be started, or an action does not
            end with the exit code that it expects.
        EnvironmentLacksError: when there is no disk space, or the target does not run the actions.
    """
    return check_all([suite], options)


def _check(
    suite: Suite,
    options: Options,
    checks: Sequence[Check],
    recorded_orders: Sequence[tuple[SuiteAction, ...]] | None = None,
) -> Report:
    """Run some checks; count the wrong action-cache entries if there are recorded orders."""
    folder = None if options.target or options.executor else options.cache
    store, problem = result_memory.opened(folder)
    with (
        contextlib.closing(store or contextlib.ExitStack()),
        Harness(
            suite,
            jobs=options.jobs,
            max_seconds=options.max_seconds,
            progress=options.progress.count if options.progress else None,
            target=options.target,
            executor=options.executor,
            results=store,
            is_forgetful=options.cache is None,
        ) as harness,
    ):
        context = CheckContext(
            suite=suite,
            harness=harness,
            seed=options.seed,
            selected=options.selected,
            eof_patience=options.eof_patience,
            pause=options.pause,
            max_seconds=options.max_seconds,
        )
        run = _run_remote if options.target else _run
        findings = run(context, options, checks)
        if options.locates:
            findings = locating.locate_fresh(context, findings, _accepted(options))
        if options.reproducers is not None:
            findings = _with_reproducers(context, findings, options.reproducers)
        if options.progress is not None:
            options.progress.finish()
        report = replace(
            _report(context, findings, options, checks),
            trials=result_memory.counts(harness, folder, problem, options.executor),
        )
        if recorded_orders is None or context.interruption is not None:
            return report
        return replace(report, poisoning=cache_poisoning.count(context, recorded_orders))


def _with_reproducers(
    context: CheckContext, findings: Sequence[Finding], folder: Path
) -> list[Finding]:
    context.harness.trust_no_memory()
    return [
        _with_reproducer(context, each, folder, number)
        for number, each in enumerate(findings, start=1)
    ]


def _with_reproducer(context: CheckContext, finding: Finding, folder: Path, number: int) -> Finding:
    is_replayed = False
    if context.interruption is None and not context.is_remote:
        with contextlib.suppress(OutOfTimeError, UnavailableError):
            is_replayed = bool(replaying.find_wrong(context.harness, History.of(finding)))
    return reproducers.write(finding, context.suite, folder, number, is_replayed=is_replayed)


def check_all(suites: Sequence[Suite], options: Options | None = None) -> Report:
    """Check several workers, such as those of `suite_file.load_all`; raises what `check` raises."""
    options = options or Options()
    reports: list[Report] = []
    shared_out = _shared_out(suites, options)
    if options.progress is not None:
        options.progress.expect(len(shared_out))
    for part, checks in shared_out:
        rest = _remaining(options, reports) if reports else options
        reports.append(_of_part(_check(part.suite, rest, checks), part))
        if reports[-1].interruption is not None:
            break
    return _whole(reports, options)


def _shared_out(suites: Sequence[Suite], options: Options) -> list[tuple[Part, Sequence[Check]]]:
    """Return what this shard checks of each worker, with the checks that it runs.

    Raises:
        ConfigError: there are too many shards.
    """
    groups = pieces.pieces(options.selected)
    parts = options.shard.parts(suites, [sum(map(weight, each)) for each in groups])
    return [(each, pieces.checks_of(each.pieces, groups, options.selected)) for each in parts]


def _of_part(report: Report, part: Part) -> Report:
    """Return the report of a part; only one shard counts the worker's actions."""
    return report if part.is_first else replace(report, counted_elsewhere=report.actions)


def _remaining(options: Options, reports: Sequence[Report]) -> Options:
    """Return the options with the time that earlier reports have left."""
    if options.max_seconds is None:
        return options
    spent = sum(each.seconds for each in reports)
    return replace(options, max_seconds=max(0.0, options.max_seconds - spent))


def check_recording(recorded: Sequence[RecordedAction], options: Options | None = None) -> Report:
    """Check every worker of a recording with its recorded actions, and the worker keys.

    Raises:
        ConfigError, EnvironmentLacksError: as `check`.
    """
    options = options or Options()
    nothing = Report(actions=0, checks=(), findings=())
    reports = [_keys_report(recorded, options) if options.shard.is_first else nothing]
    selected = options.selected - frozenset(_RECORDED)
    found = _shared_out(suites(recorded), replace(options, selected=selected))
    parts = [each for each, _ in found]
    if options.max_seconds is None and any(len(each.suite.actions) > LARGE for each in parts):
        options = replace(options, max_seconds=USUAL_LIMIT)
    if options.progress is not None:
        options.progress.expect(len(found))
    for place, (part, checks) in enumerate(found):
        left = _remaining(options, reports).max_seconds
        limit = shards.allotted(left, part, parts[place:])
        rest = replace(options, max_seconds=limit, selected=selected)
        is_counted = options.cache_poisoning and part.is_first
        if selected or is_counted:
            orders = cache_poisoning.recorded_orders(recorded, part.suite) if is_counted else None
            reports.append(_of_part(_check(part.suite, rest, checks, orders), part))
        if reports[-1].interruption is not None:
            break
    return _whole(reports, options)


def _whole(reports: Sequence[Report], options: Options) -> Report:
    """Return the report about all workers of a shard; only all shards together know what is stale."""
    whole = reports[0] if len(reports) == 1 else merged(reports)
    if options.shard != WHOLE:
        return replace(whole, shard=str(options.shard))
    return replace(whole, stale=baseline.find_stale(_accepted(options), whole))


def _keys_report(recorded: Sequence[RecordedAction], options: Options) -> Report:
    findings = [*worker_keys.find_collisions(recorded), *worker_keys.find_churn(recorded)]
    selected = options.selected & frozenset(_RECORDED)
    kept = [each for each in findings if each.code in selected]
    accepted = _accepted(options)
    shown = tuple(each for each in kept if baseline.identity(each) not in accepted)
    return Report(
        actions=0,
        checks=states(selected, shown, {}, {}),
        findings=shown,
        accepted=tuple(each for each in kept if each not in shown),
        places=recording.places(recorded),
    )


def _accepted(options: Options) -> frozenset[Identity]:
    return baseline.read(options.baseline) if options.baseline is not None else frozenset()


def _run(context: CheckContext, options: Options, checks: Sequence[Check]) -> list[Finding]:
    selected = options.selected
    for code in _RECORDED:
        context.skip(code, "needs a recording made by serve --record")
    wanted = [each for each in checks if each.always or selected & set(each.codes)]
    runs = [_CheckRun(each) for each in in_order(wanted)]
    announcer = Announcer(options.progress, selected, _accepted(options))
    try:
        announcer.begin([each.check for each in runs])
        for each in runs:
            announcer.enter(each.check)
            _run_check(context, each, announcer)
            if each.check.always:
                _begin(context, runs)
        _judge_again(context, runs)
    except OutOfTimeError as error:
        _skip(context, [each.check for each in runs if not each.is_done], str(error))
    except Interrupted as error:
        context.interruption = error
        _skip(context, [each.check for each in runs if not each.is_done], str(error))
    found: dict[object, Finding] = {}
    for finding in (finding for each in runs for finding in each.findings):
        if finding.code in selected:
            found.setdefault(finding.identity, with_edits(finding))
            if finding.is_doubtful:
                context.mark_unreproduced(finding.code)
    if context.interruption is None:
        _note_left_out(context)
        _require_working_action(context, found.values(), selected)
    return sorted(found.values(), key=lambda each: (_WORST_FIRST[each.severity], each.code))


def _begin(context: CheckContext, runs: Sequence[_CheckRun]) -> None:
    """Begin the trials that wait, once it is known which actions can be used."""
    for each in runs:
        if each.check.begin is not None and context.usable and not context.is_remote:
            each.check.begin(context)


@dataclass(slots=True)
class _CheckRun:
    """A check and its findings.

    Attributes:
        check: the check.
        findings: its findings so far.
        lessons: number of lessons about instability that were known when it ended.
        is_done: whether it came to its end.
    """

    check: Check
    findings: list[Finding] = field(default_factory=list)
    lessons: int = 0
    is_done: bool = False


def _run_check(context: CheckContext, run: _CheckRun, announcer: Announcer) -> None:
    """Run a check, or note why it can't be run.

    Raises:
        OutOfTimeError: when the time limit is reached; the findings until then are kept.
    """
    check = run.check
    try:
        if check.needs_worker and not context.usable:
            for code in set(check.codes) - set(PROTOCOL):
                context.skip(code, "no action works on a fresh worker")
        elif check.needs_answers and state_leaks.stops_answering(context):
            _skip(context, [check], "a warm worker stops answering (RPW102)")
        else:
            with context.facts.limited(needs=check.needs, shares=check.shares):
                for finding in confirming.found(context, check):
                    run.findings.append(finding)
                    announcer.found(finding)
    except UnavailableError as error:
        _skip(context, [check], str(error))
    run.lessons, run.is_done = len(context.instability.lessons), True


def _judge_again(context: CheckContext, runs: Sequence[_CheckRun]) -> None:
    """Judge again the findings whose results turned out to be unstable after the check had ended.

    Few workers are started for that, because results of trials are kept.
    """
    for each in runs:
        names = frozenset(context.instability.lessons[each.lessons :])
        stale = [finding for finding in each.findings if _rests_on(finding, names)]
        if stale and not each.check.always:
            context.forget_reported(names)
            each.findings = [finding for finding in each.findings if finding not in stale]
            check = each.check
            with (
                contextlib.suppress(UnavailableError),
                context.facts.limited(needs=check.needs, shares=check.shares),
            ):
                again = [one for one in confirming.found(context, check) if _rests_on(one, names)]
                each.findings += again


def _rests_on(finding: Finding, names: frozenset[str]) -> bool:
    """Return whether a finding compares results of one of these actions."""
    return finding.victim in names and finding.code in _COMPARING


def _note_left_out(context: CheckContext) -> None:
    """Note for each code what was left out of its comparisons; skip it if nothing was left."""
    left_out = list(context.instability.describe())
    if not left_out:
        return
    more = f" and {len(left_out) - _SHOWN} more" if len(left_out) > _SHOWN else ""
    text = f"left out, because fresh workers differ in it: {'; '.join(left_out[:_SHOWN])}{more}"
    is_blank = context.instability.is_blank(context.usable)
    for code in _COMPARING:
        if is_blank:
            context.skip(code, f"nothing is left to compare; {text}")
        context.notes[code] = f"{context.notes[code]}; {text}" if code in context.notes else text


def _require_working_action(
    context: CheckContext, findings: Collection[Finding], selected: frozenset[str]
) -> None:
    """Raise if no action works at all and no finding says so, because its code is not selected.

    Raises:
        ConfigError: says how a fresh worker fails.
        EnvironmentLacksError: says why no action has a result.
    """
    if context.usable or findings or not selected or not context.failures:
        return
    outcome = context.failures[0]
    detail = outcome.detail.partition("\n")[0]
    if outcome.failure == NO_RESULT and not context.is_remote:
        raise EnvironmentLacksError(f"no action has a result: {outcome.step.action.name}: {detail}")
    last_line = outcome.stderr.strip().rpartition("\n")[2]
    raise ConfigError(
        f"no action works on a fresh worker: {outcome.step.action.name}: "
        f"{code_of_rule(outcome.failure)} {outcome.failure}: {detail}"
        + (f"; its stderr ends with: {last_line}" if last_line else "")
    )


def _run_remote(context: CheckContext, options: Options, checks: Sequence[Check]) -> list[Finding]:
    from rpw_fixture.hermeticity.checks import remote_limits  # noqa: PLC0415 - local checks need no grpc

    for code, reason in remote_limits.skipped():
        context.skip(code, reason)
    judged = options.selected & remote_limits.JUDGED
    findings = _run(context, replace(options, selected=judged), checks)
    if context.harness.remote is not None:
        remote_limits.note_limits(context, context.harness.remote)
    return findings


def _skip(context: CheckContext, checks: Sequence[Check], reason: str) -> None:
    for code in (code for each in checks for code in each.codes):
        context.skip(code, "; ".join(filter(None, (reason, context.notes.get(code)))))


def _report(
    context: CheckContext, findings: list[Finding], options: Options, checks: Sequence[Check]
) -> Report:
    accepted = _accepted(options)
    judged = pieces.judged(checks, options.selected) | {each.code for each in findings}
    findings = [context.with_differences(each) for each in findings]
    kept = tuple(
        each
        for each in findings
        if each.severity is Severity.INFO or baseline.identity(each) not in accepted
    )
    return Report(
        actions=len(context.suite.actions),
        checks=states(judged, kept, context.skipped, context.notes),
        findings=kept,
        worker_starts=context.harness.worker_starts,
        requests=context.harness.requests,
        seconds=context.harness.seconds,
        accepted=tuple(each for each in findings if each not in kept),
        action_names=tuple(each.name for each in context.suite.actions),
        growth=tuple({(each.action, each.resource): each for each in context.growth}.values()),
        accesses=tuple(context.accesses.values()),
        places=context.suite.places,
        interruption=context.interruption,
        unjudged=frozenset(context.skipped),
    )
