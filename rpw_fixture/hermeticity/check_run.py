"""Runs the checks of one suite in their order, until an interruption, and judges some a second time."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from rpw_fixture.errors import ConfigError, EnvironmentLacksError, Interrupted
from rpw_fixture.hermeticity.checks import confirming, state_leaks
from rpw_fixture.hermeticity.checks.blame import code_of_rule
from rpw_fixture.hermeticity.checks.check_list import PROTOCOL, Check, in_order
from rpw_fixture.hermeticity.checks.context import LARGE, CheckContext
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, Identity, with_edits
from rpw_fixture.hermeticity.progress import Announcer, ProgressTracker
from rpw_fixture.hermeticity.trials.trial import NO_RESULT, Trial, UnavailableError
from rpw_fixture.hermeticity.trials.trial_book import OutOfTimeError

#: Codes that compare the actions of a recording, without running any.
RECORDED = ("RPW402", "RPW403")
#: Codes that compare results, so that the report says what was left out.
_COMPARING = confirming.COMPARED | {"RPW109", "RPW202", "RPW209", "RPW210", "RPW212"}
_SHOWN = 6
_WORST_FIRST = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.INFO: 2}


def run_checks(
    context: CheckContext,
    checks: Sequence[Check],
    *,
    progress: ProgressTracker | None = None,
    accepted: frozenset[Identity] = frozenset(),
) -> list[Finding]:
    """Return the findings of the checks on a suite, worst first, each once.

    Codes that can't be judged are noted in ``context``, also when time is over or the run is interrupted.

    Args:
        context: the suite, and what is known of its worker.
        checks: those to run if their codes are selected; some run always.
        progress: follows the run.
        accepted: findings that are not announced, because they are in the baseline.

    Raises:
        ConfigError, EnvironmentLacksError: no action works, and no finding says so.
    """
    if context.is_remote:
        return _run_remote(context, checks, progress, accepted)
    return _run(context, checks, context.selected, Announcer(progress, context.selected, accepted))


def _run_remote(
    context: CheckContext,
    checks: Sequence[Check],
    progress: ProgressTracker | None,
    accepted: frozenset[Identity],
) -> list[Finding]:
    from rpw_fixture.hermeticity.checks import remote_limits  # noqa: PLC0415 - local checks need no grpc

    for code, reason in remote_limits.skipped():
        context.skip(code, reason)
    judged = context.selected & remote_limits.JUDGED
    findings = _run(context, checks, judged, Announcer(progress, judged, accepted))
    if context.harness.remote is not None:
        remote_limits.note_limits(context, context.harness.remote)
    return findings


def _run(
    context: CheckContext,
    checks: Sequence[Check],
    selected: frozenset[str],
    announcer: Announcer,
) -> list[Finding]:
    for code in RECORDED:
        context.skip(code, "needs a recording made by serve --record")
    wanted = [each for each in checks if each.always or selected & set(each.codes)]
    runs = [_CheckRun(each) for each in in_order(wanted)]
    try:
        _run_in_order(context, runs, announcer)
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


def _run_in_order(context: CheckContext, runs: Sequence[_CheckRun], announcer: Announcer) -> None:
    announcer.begin([each.check for each in runs])
    first_ahead = next((each for each in runs if each.check.ahead is not None), None)
    for each in runs:
        announcer.enter(each.check)
        if each is first_ahead:
            _begin_ahead(context, runs)
        _run_check(context, each, announcer)
        if each.check.always:
            _begin(context, runs)


def _begin(context: CheckContext, runs: Sequence[_CheckRun]) -> None:
    """Begin long trials of all checks, as soon as it is known which actions are usable."""
    for each in runs:
        if each.check.begin is not None and context.usable and not context.is_remote:
            each.check.begin(context)


def _begin_ahead(context: CheckContext, runs: Sequence[_CheckRun]) -> None:
    """Begin trials that later checks need in any case, if workers have done everything right so far."""
    is_well = context.usable and not context.failures and not any(each.findings for each in runs)
    if not is_well or context.is_remote or len(context.suite.actions) > LARGE:
        return
    trials: list[Trial] = []
    for each in runs:
        if each.check.ahead is not None:
            with contextlib.suppress(UnavailableError):  # the check itself says so
                trials += each.check.ahead(context)
    context.harness.begin_ahead(trials)


@dataclass(slots=True)
class _CheckRun:
    """A check and its findings.

    Attributes:
        check: the check.
        findings: its findings so far.
        lessons: how many actions were known to have unstable results when it ended.
        is_done: whether it has ended, and was not interrupted.
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
    """Repeat the judgement of findings whose results turned out to be unstable after the check had ended.

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
    late = " or write it late" if context.instability.has_late_outputs else ""
    why = f"because fresh workers differ in it{late}"
    text = f"left out, {why}: {'; '.join(left_out[:_SHOWN])}{more}"
    is_blank = context.instability.is_blank(context.usable)
    for code in _COMPARING:
        if is_blank:
            context.skip(code, f"nothing is left to compare; {text}")
        context.notes[code] = f"{context.notes[code]}; {text}" if code in context.notes else text


def _require_working_action(
    context: CheckContext, findings: Collection[Finding], selected: frozenset[str]
) -> None:
    """Raise if no action works at all, and no finding says so because its code is not selected.

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


def _skip(context: CheckContext, checks: Sequence[Check], reason: str) -> None:
    for code in (code for each in checks for code in each.codes):
        context.skip(code, "; ".join(filter(None, (reason, context.notes.get(code)))))
