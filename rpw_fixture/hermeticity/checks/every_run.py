"""What any run shows besides its results: changed inputs, left files and processes, ended workers.

All runs of the other checks are looked at, not only those of fresh workers: RPW112, RPW206, RPW208,
RPW216, and RPW101–105 for requests that no other check compares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from rpw_fixture.hermeticity.checks import lifecycle, resources, shrinking, state_leaks
from rpw_fixture.hermeticity.checks.blame import Suspicion, blame, code_of_rule
from rpw_fixture.hermeticity.checks.context import CheckContext, names, titles
from rpw_fixture.hermeticity.checks.facts import LATER_LEFT_PROCESSES, START_UP_INPUTS
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials import late_access
from rpw_fixture.hermeticity.trials.snapshot import GONE
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    NO_RESULT,
    Cancel,
    Outcome,
    Result,
    RunMode,
    Step,
    Trial,
)
from rpw_fixture.support.plurals import counted

_SHOWN = 10
_MAX_RUNS = 100
#: At most this many actions are repeated to see whether their processes stay.
_MOST_CONFIRMED = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class _Trace:
    """A kind of trace that a request may leave.

    Attributes:
        code: code of the finding.
        found: returns the paths in an outcome.
        verb: what the action does to the paths, for the summary.
        evidence: when it was observed.
        lingers: it is looked for some time after the response.
    """

    code: str
    found: Callable[[Outcome], Sequence[str]]
    verb: str
    evidence: str
    lingers: bool = False


_TRACES = (
    _Trace(
        code="RPW206",
        found=lambda outcome: outcome.changed_inputs,
        verb="changes its inputs",
        evidence="these inputs had other content, were of another kind or were gone after the response",
    ),
    _Trace(
        code="RPW208",
        found=lambda outcome: outcome.strays,
        verb="leaves undeclared files in the input root",
        evidence="found in the input root after the response",
    ),
    _Trace(
        code="RPW216",
        found=lambda outcome: outcome.rewritten,
        verb="writes its outputs after the response",
        evidence="they were written between the response and the next request or the worker's end",
        lingers=True,
    ),
    _Trace(
        code="RPW216",
        found=lambda outcome: outcome.read_late,
        verb="reads its inputs after the response",
        evidence="according to inotify, they were opened or read within 150 ms after the response",
        lingers=True,
    ),
    _Trace(
        code="RPW216",
        found=lambda outcome: outcome.still_open,
        verb="keeps files open after the response",
        evidence="according to /proc/PID/fd, they were open 150 ms after the response",
        lingers=True,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Observation:
    """An outcome, and the run in which it was observed."""

    trial: Trial
    before: tuple[Step, ...]
    outcome: Outcome

    @property
    def rank(self) -> tuple[bool, bool, int]:
        """The sort key: plain requests to a worker first, then by the number of earlier requests."""
        return (
            self.trial.mode is not RunMode.WORKER,
            bool(self.outcome.step.action.variant),
            len(self.before),
        )


def find_traces(context: CheckContext) -> Iterator[Finding]:
    """Find changed inputs, left files and late writes of every action in any run."""
    _run_warm(context)
    if reason := late_access.why_unavailable():
        context.skip("RPW216", reason)
    for trace in _traces(context):
        best: dict[str, _Observation] = {}
        for each in _observations(context):
            if not trace.found(each.outcome):
                continue
            known = best.get(each.outcome.step.action.name)
            if known is None or each.rank < known.rank:
                best[each.outcome.step.action.name] = each
        for each in best.values():
            yield _trace_finding(context, trace, each)


def _traces(context: CheckContext) -> list[_Trace]:
    """Return what to look for; of a worker that writes outputs late (RPW216), none of them is a stray."""
    outcomes = [each.outcome for each in _observations(context)]
    late = set[str]()
    if any(each.rewritten for each in outcomes):
        late = {path for each in outcomes for path in (*each.outputs, *each.rewritten)}

    def strays(outcome: Outcome) -> tuple[str, ...]:
        if _may_write_outputs(outcome.step.action):
            return ()
        # It may have been between the removal of an output and its new content.
        return tuple(each for each in outcome.strays if each.removesuffix(GONE) not in late)

    return [replace(each, found=strays) if each.code == "RPW208" else each for each in _TRACES]


def find_processes(context: CheckContext) -> Iterator[Finding]:
    """Find processes that requests of any run added and that stayed (RPW112)."""
    _run_warm(context)
    results = [each for each in context.harness.book.results if _is_unvaried(each[0])]
    suspects: dict[object, Step] = {}
    for trial, result in results:
        for place, outcome in enumerate(result.outcomes):
            if lifecycle.newcomers(result.outcomes, place) and outcome.step.cancel is Cancel.NEVER:
                suspects.setdefault(outcome.step.action, Step(action=outcome.step.action))
        added = lifecycle.repeatedly_added(result.outcomes)
        if len(added) >= lifecycle.MANY:
            context.facts.share(LATER_LEFT_PROCESSES, value=True)
            yield _processes_finding(trial.history, result.outcomes, added)
            return
    for step in list(suspects.values())[:_MOST_CONFIRMED]:
        trial = lifecycle.trial(context, step.action)
        outcomes = context.run(trial).outcomes
        added = lifecycle.lasting(outcomes)
        if added and not outcomes[-1].failure:
            context.facts.share(LATER_LEFT_PROCESSES, value=True)
            yield _processes_finding(trial.history, outcomes, added)
            return
    yield from _outliving(context, results)


def find_failures(context: CheckContext) -> Iterator[Finding]:
    """Find workers that failed in a run which no other check judges (RPW101–105)."""
    reported: set[str] = set()
    start_up = context.facts.read(START_UP_INPUTS)
    for each in sorted(_observations(context, with_failures=True), key=lambda each: each.rank):
        warm = each.outcome
        is_known = not warm.failure or warm.failure == NO_RESULT or warm.failure in reported
        if is_known or each.trial.mode is not RunMode.WORKER:
            continue
        if not all(map(_is_plain, (*each.before, warm.step))):
            continue  # the cause may be a request that no server sends
        if context.is_reported(warm.step.action, warm.failure):
            continue
        if warm.step.action.variant and start_up - warm.step.action.inputs.keys():
            continue  # a worker that needs them at its start has a finding (RPW401)
        if warm.step.action.variant and context.cold(warm.step.action).failure == warm.failure:
            reported.add(warm.failure)
            yield _failing_variant_finding(context.cold(warm.step.action))
        elif each.before:
            plain = context.run(Trial(history=(warm.step,))).outcomes[0]
            aspects = tuple(context.differing(plain, warm))
            suspect = Suspicion(
                victim=warm.step, before=each.before, cold=plain, warm=warm, aspects=aspects
            )
            yield from blame(context, [suspect] if aspects else [])


def _may_write_outputs(action: SuiteAction) -> bool:
    """Return whether an edit may make an action write outputs: one that must fail declares none."""
    return bool(action.variant) and action.exit_code != 0


def _run_warm(context: CheckContext) -> None:
    """Run warm and failing requests, so that there are some whatever codes are selected."""
    context.run(state_leaks.recorded_order(context))
    context.run(state_leaks.lingering(context))
    for trial in resources.trials(context):
        context.run(trial)


def _is_unvaried(trial: Trial) -> bool:
    return _starts_fresh(trial) and trial.mode is RunMode.WORKER


def _starts_fresh(trial: Trial) -> bool:
    """Return whether the worker starts in the usual environment, in a place that nothing used before."""
    is_usual = trial.variation == BASE and trial.started_with is None
    return is_usual and not trial.predecessors


def _is_plain(step: Step) -> bool:
    """Return whether the request is one that any server may send."""
    return step == Step(action=step.action)


def _observations(context: CheckContext, *, with_failures: bool = False) -> Iterator[_Observation]:
    """Yield the requests of all runs in the usual environment that were not cancelled."""
    for trial, result in context.harness.book.results:
        if not _starts_fresh(trial):
            continue
        for place, outcome in enumerate(result.outcomes):
            if outcome.step.cancel is Cancel.NEVER and (with_failures or not outcome.failure):
                before = trial.history[:place] if trial.mode is RunMode.WORKER else ()
                yield _Observation(trial=trial, before=before, outcome=outcome)


def _trace_finding(context: CheckContext, trace: _Trace, observation: _Observation) -> Finding:
    step = observation.outcome.step
    before = _needed(context, trace, observation) if observation.before else ()
    paths = trace.found(observation.outcome)
    conditions = {
        RunMode.ONE_SHOT: " without --persistent_worker",
        RunMode.OVERLAPPING: " when requests overlap",
    }
    after = f" after {titles(before)}" if before else conditions.get(observation.trial.mode, "")
    return Finding(
        code=trace.code,
        victim=step.action.name,
        polluters=names(before),
        summary=f"{step.action.title}{after} {trace.verb}: {', '.join(paths[:_SHOWN])}",
        evidence=trace.evidence,
        history=(*before, step),
    )


def _needed(context: CheckContext, trace: _Trace, observation: _Observation) -> tuple[Step, ...]:
    """Return the fewest earlier requests that are needed; all of them if fewer do not suffice."""
    step = observation.outcome.step

    def is_guilty(part: Sequence[Step], run: int = 0) -> bool:
        history = (*part, step)
        trial = Trial(history=history, run=run, lingers=trace.lingers)
        outcomes = context.run(trial).outcomes
        return len(outcomes) == len(history) and bool(trace.found(outcomes[-1]))

    if is_guilty(()):
        return ()
    least = shrinking.minimise(observation.before, is_guilty, max_questions=_MAX_RUNS)
    return least if is_guilty(least, run=1) else observation.before


def _processes_finding(
    history: tuple[Step, ...], outcomes: Sequence[Outcome], added: Sequence[str]
) -> Finding:
    culprits = [
        outcome.step.action
        for place, outcome in enumerate(outcomes)
        if set(lifecycle.newcomers(outcomes, place)) & set(added)
    ]
    counts = [len(each.children) for each in outcomes]
    failing = " that fails" if culprits[-1].variant or culprits[-1].exit_code else ""
    return Finding(
        code="RPW112",
        victim=culprits[-1].name,
        summary=f"processes started for a request{failing} outlive its response",
        evidence=f"{culprits[-1].title}: from {counts[0]} to {counts[-1]} processes below the worker "
        f"over {counted(len(outcomes), 'request')}; still running: {', '.join(added[:_SHOWN])}",
        history=history[: len(outcomes)],
    )


def _outliving(context: CheckContext, results: Iterable[tuple[Trial, Result]]) -> Iterator[Finding]:
    """Yield a finding if processes remained after the worker had ended by itself, twice."""
    ended = [each for each in results if each[1].ending.is_by_itself and each[1].ending.leftovers]
    for trial, _ in sorted(ended, key=lambda each: len(each[0].history))[:1]:
        again = context.run(Trial(history=trial.history, run=1, eof_patience=context.eof_patience))
        if not again.ending.leftovers or not again.ending.is_by_itself:
            continue
        yield Finding(
            code="RPW112",
            victim=trial.history[-1].action.name,
            summary="processes that the worker started outlive it",
            evidence=f"{counted(again.ending.leftovers, 'process')} had to be killed after its end",
            history=trial.history,
        )


def _failing_variant_finding(outcome: Outcome) -> Finding:
    code = code_of_rule(outcome.failure)
    action = outcome.step.action
    stderr = outcome.stderr.strip()
    return Finding(
        code=code,
        severity=Severity.WARNING,
        victim=action.name,
        summary=f"the request {action.title}, which cannot succeed, is not answered: "
        f"{outcome.failure}",
        evidence=outcome.detail
        + (f"\nworker's stderr ends with:\n{stderr[-1500:]}" if stderr else ""),
        history=(outcome.step,),
    )
