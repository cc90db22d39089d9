"""Checks workers: has all checks run on suites, and makes the report of their findings.

`check_run` runs the checks of one suite; `checks.check_list` has the checks and their order.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.hermeticity.carriers import locating
from rpw_fixture.hermeticity.check_run import RECORDED, run_checks
from rpw_fixture.hermeticity.checks import (
    cache_poisoning,
    pieces,
    replaying,
    result_memory,
    worker_keys,
)
from rpw_fixture.hermeticity.checks.check_list import Check
from rpw_fixture.hermeticity.checks.context import LARGE, USUAL_LIMIT, CheckContext
from rpw_fixture.hermeticity.findings import baseline, reproducers
from rpw_fixture.hermeticity.findings.codes import CODES, Severity
from rpw_fixture.hermeticity.findings.finding import Finding, Identity
from rpw_fixture.hermeticity.findings.history_file import History
from rpw_fixture.hermeticity.findings.report import Report, merged, states
from rpw_fixture.hermeticity.progress import ProgressTracker, weight
from rpw_fixture.hermeticity.suites import recording, shards
from rpw_fixture.hermeticity.suites.recording import RecordedAction, suites
from rpw_fixture.hermeticity.suites.shards import WHOLE, Part, Shard
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials.harness import Harness
from rpw_fixture.hermeticity.trials.result_store import ResultStore
from rpw_fixture.hermeticity.trials.trial import UnavailableError
from rpw_fixture.hermeticity.trials.trial_book import OutOfTimeError

_ALL = frozenset(CODES)
_PAUSE = 3.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The options of a check.

    Attributes:
        selected: codes to check.
        jobs: number of trials that run at once.
        max_seconds: time limit for the whole check, seconds; None for no limit.
        seed: decides which samples are taken where not everything can be tried.
        reproducers: folder for a reproducer of each finding; None to write none.
        baseline: file of accepted findings; None to accept none.
        progress: follows the run; None for nothing.
        cache_poisoning: whether to count wrong action-cache entries; only for recordings.
        target: an REAPI server that runs the actions; None to run them on this machine.
        executor: an REAPI server that runs the trials as actions; None to run them on this machine.
        cache: folder in which results of trials are remembered; None to remember none.
        shard: the part of the workers, and of their checks, to run.
        eof_patience: seconds that a worker may take to end after its stdin was closed (RPW106).
        pause: seconds of silence between two requests that are tried; 0 for no such trial, None for 3.
        locates: whether to search for what carries the state of each finding.
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
    pause: float | None = None
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
        _harness(suite, options, store) as harness,
    ):
        context = CheckContext(
            suite=suite,
            harness=harness,
            seed=options.seed,
            selected=options.selected,
            eof_patience=options.eof_patience,
            pause=_PAUSE if options.pause is None else options.pause,
            max_seconds=options.max_seconds,
        )
        findings = _findings(context, options, checks)
        report = replace(
            _report(context, findings, options, checks),
            trials=result_memory.counts(harness, folder, problem, options.executor),
        )
        if recorded_orders is None or context.interruption is not None:
            return report
        return replace(report, poisoning=cache_poisoning.count(context, recorded_orders))


def _harness(suite: Suite, options: Options, store: ResultStore | None) -> Harness:
    return Harness(
        suite,
        jobs=options.jobs,
        max_seconds=options.max_seconds,
        progress=options.progress.count if options.progress else None,
        target=options.target,
        executor=options.executor,
        results=store,
        is_forgetful=options.cache is None,
    )


def _findings(context: CheckContext, options: Options, checks: Sequence[Check]) -> list[Finding]:
    """Return the findings of the checks, with carriers and with reproducers if these are wanted."""
    accepted = _accepted(options)
    findings = run_checks(context, checks, progress=options.progress, accepted=accepted)
    if options.locates:
        findings = locating.locate_fresh(context, findings, accepted)
    if options.reproducers is not None:
        findings = _with_reproducers(context, findings, options.reproducers)
    if options.progress is not None:
        options.progress.finish()
    return findings


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
    """Check several workers, such as those of `suite_file.load_all`.

    Raises:
        ConfigError, EnvironmentLacksError: as `check`.
    """
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
    """Return the parts of the workers that this shard checks, each with its checks.

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
    selected = options.selected - frozenset(RECORDED)
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
    """Return the report about all workers of a shard.

    Stale entries of the baseline are left out of a shard's report: another shard may find them.
    """
    whole = reports[0] if len(reports) == 1 else merged(reports)
    if options.shard != WHOLE:
        return replace(whole, shard=str(options.shard))
    return replace(whole, stale=baseline.find_stale(_accepted(options), whole))


def _keys_report(recorded: Sequence[RecordedAction], options: Options) -> Report:
    findings = [*worker_keys.find_collisions(recorded), *worker_keys.find_churn(recorded)]
    selected = options.selected & frozenset(RECORDED)
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
        worker_starts=context.harness.book.worker_starts,
        requests=context.harness.book.requests,
        seconds=context.harness.book.seconds,
        accepted=tuple(each for each in findings if each not in kept),
        action_names=tuple(each.name for each in context.suite.actions),
        growth=tuple({(each.action, each.resource): each for each in context.growth}.values()),
        accesses=tuple(context.accesses.values()),
        places=context.suite.places,
        interruption=context.interruption,
        unjudged=frozenset(context.skipped),
    )
