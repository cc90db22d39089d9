"""Confirming findings: each is shown again by another run before it is reported.

A finding never rests on remembered results alone: the trials that show it are run once more.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.checks.check_list import Check
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import SEEN_ONCE, Finding
from rpw_fixture.hermeticity.trials.trial import RunMode, Step, Trial

#: Codes whose checks compare with a fresh worker without repeating its run; that is done here.
COMPARED = frozenset(
    (
        *("RPW105", "RPW107", "RPW111", "RPW113", "RPW116", "RPW118", "RPW203", "RPW204", "RPW205"),
        *("RPW207", "RPW208", "RPW211", "RPW213", "RPW214", "RPW215", "RPW401"),
    )
)
#: Codes whose findings are reproduced here, and how their histories are run.
_REPEATED = {
    "RPW107": RunMode.WORKER,
    "RPW203": RunMode.WORKER,
    "RPW204": RunMode.WORKER,
    "RPW205": RunMode.ONE_SHOT,
    "RPW211": RunMode.WORKER,
}


def found(context: CheckContext, check: Check) -> Iterator[Finding]:
    """Yield the findings of a check, each confirmed by a run of now; some may come twice.

    Raises:
        OutOfTimeError: when the time limit is reached.
    """
    take_back = context.begin_judgement()
    mark = len(context.harness.book.asked)
    doubted: list[Trial] = []
    for finding in _confirmed(context, check):
        doubted = _remembered(context, [finding], context.harness.book.asked[mark:])
        if doubted:
            break
        yield finding
    findings: list[Finding] = []
    while doubted:
        context.harness.run_afresh(doubted)
        take_back()
        findings = list(_confirmed(context, check))
        doubted = _remembered(context, findings, context.harness.book.asked[mark:])
    yield from findings


def _remembered(
    context: CheckContext, findings: Sequence[Finding], asked: Sequence[Trial]
) -> list[Trial]:
    """Return the remembered trials that show a finding which no run of now shows."""
    if not context.harness.can_remember:
        return []
    is_remembered = context.harness.is_remembered
    trials = [*dict.fromkeys([*asked, *(trial for trial, _ in context.harness.book.results)])]
    doubted: dict[Trial, None] = {}
    for finding in findings:
        if finding.is_doubtful:  # the program that saw it may have run another worker
            doubted.update(dict.fromkeys(filter(is_remembered, asked)))
            continue
        shown = _showing(finding.history, trials)
        if finding.severity is not Severity.INFO and all(map(is_remembered, shown)):
            doubted.update(dict.fromkeys(shown or filter(is_remembered, asked)))
    return list(doubted)


def _showing(history: tuple[Step, ...], trials: Sequence[Trial]) -> list[Trial]:
    """Return the trials of exactly these requests, else those that begin with them."""
    exact = [each for each in trials if history in {_steps(each), each.history}]
    return exact or [each for each in trials if each.history[: len(history)] == history]


def _steps(trial: Trial) -> tuple[Step, ...]:
    earlier = (step for each in trial.predecessors for step in each.history)
    return (*earlier, *trial.history)


def _confirmed(context: CheckContext, check: Check) -> Iterator[Finding]:
    """Yield the findings of a check, each after its action was repeated on a fresh worker.

    If a repetition shows that more is unstable, the check judges again; its trials are not run again.
    """
    is_new = True
    while is_new:
        is_new = False
        for finding in check.find(context):
            is_compared = finding.code in COMPARED and finding.severity is not Severity.INFO
            if is_compared and context.learn(finding.last_action):
                is_new = True
                break
            yield finding if _is_reproduced(context, finding) else _doubtful(finding)


def _is_reproduced(context: CheckContext, finding: Finding) -> bool:
    """Return whether a second run of the finding's history differs from a fresh worker as well."""
    mode = _REPEATED.get(finding.code)
    if mode is None:
        return True
    again = context.run(Trial(history=finding.history, mode=mode, run=1)).outcomes
    if len(again) < len(finding.history):
        return True
    aspects = context.differing(context.cold(finding.history[-1].action), again[-1])
    return bool(aspects)


def _doubtful(finding: Finding) -> Finding:
    summary = f"{finding.summary}{SEEN_ONCE}"
    return replace(finding, severity=Severity.INFO, summary=summary, is_doubtful=True)
