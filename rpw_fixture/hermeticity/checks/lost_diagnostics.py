"""RPW218: text that a one-shot run prints, but that is not in the response of a warm worker."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from rpw_fixture.hermeticity.checks import one_shot
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import (
    NO_ONE_SHOT,
    RESPONSE,
    Outcome,
    RunMode,
    Step,
    Trial,
    differing,
)

#: Shorter lines, such as a brace, are no diagnostics.
_SHORTEST_LINE = 4
_SHOWN = 8
#: What differs from run to run in one and the same message: numbers, which the folder of a run has too.
_NUMBER = re.compile(r"\d+")


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare the text of one-shot runs with the response to a repeated request."""
    if not context.suite.worker.one_shot:
        context.skip("RPW218", NO_ONE_SHOT)
        return
    outcomes = one_shot.outcomes(context)
    if one_shot.is_broken(context, outcomes):
        context.skip("RPW218", "the tool does not work without --persistent_worker (RPW108)")
        return
    is_asked = False
    for outcome in outcomes:
        answer = _warm(context, outcome)
        is_asked = is_asked or answer is not None
        if answer is not None and _is_leaky(context, answer):
            continue
        lost = _lost(context, outcome, answer) if answer is not None else []
        if answer is not None and lost and (lost := _repeated(context, outcome, lost)):
            history = _shortest(context, outcome.step, lost)
            yield _finding(outcome, answer, lost, history)
    if not is_asked:
        context.skip("RPW218", "no action ends in the same way with and without a worker")


def _is_leaky(context: CheckContext, answer: Outcome) -> bool:
    """Return whether the response is known to be wrong for another reason."""
    action = answer.step.action
    return context.is_reported(action, "") and bool(context.differing(context.cold(action), answer))


def explains(context: CheckContext, warm: Outcome) -> bool:
    """Return whether a warm response lacks text only that one-shot runs print, so that `find` tells."""
    cold = context.cold(warm.step.action)
    if "RPW218" not in context.selected or context.is_remote or not context.suite.worker.one_shot:
        return False
    if differing(cold, warm) != [RESPONSE]:
        return False
    missing = set(_lines(cold.response)) - set(_lines(warm.response))
    if not missing or set(_lines(warm.response)) - set(_lines(cold.response)):
        return False
    for outcome in one_shot.outcomes(context):
        answer = _warm(context, outcome) if outcome.step.action == warm.step.action else None
        if answer is not None and missing <= set(_lost(context, outcome, answer)):
            return True
    return False


def _warm(context: CheckContext, outcome: Outcome) -> Outcome | None:
    """Return a warm worker's outcome for the same action; None if it ends in another way."""
    known = context.run(context.recorded_order).outcomes
    found = [each for each in known if each.step == outcome.step][-1:]
    is_alike = found and not found[0].failure and found[0].exit_code == outcome.exit_code
    return found[0] if is_alike and not outcome.failure else None


def _lost(context: CheckContext, outcome: Outcome, answer: Outcome) -> list[str]:
    """Return the lines of a one-shot run that the response lacks, without those of the start-up."""
    lost = lost_lines(outcome, answer)
    if not lost:
        return []
    started = start_up_lines(context.cold(outcome.step.action), answer)
    texts = [set(_lines(each.response)) for each in one_shot.outcomes(context)]
    is_start_up = {each for each in started if all(each in text for text in texts)}
    return [each for each in lost if each not in is_start_up]


def lost_lines(outcome: Outcome, answer: Outcome) -> list[str]:
    """Return the lines of a one-shot run that a worker's response lacks, numbers left out."""
    kept = "\n".join(_lines(answer.response))
    return [each for each in _lines(outcome.response) if each not in kept]


def start_up_lines(first: Outcome, later: Outcome) -> set[str]:
    """Return what a worker writes to its stderr with its first answer, but not with a later one."""
    return set(_lines(first.stderr)) - set(_lines(later.stderr))


def _shortest(context: CheckContext, step: Step, lost: Sequence[str]) -> tuple[Step, ...]:
    """Return the fewest requests to a worker, the last of which is answered without these lines."""
    whole = context.recorded_order.history
    last = len(whole) - whole[::-1].index(step)
    for history in ((step,), (step, step)):
        answer = context.run(Trial(history=history)).outcomes[-1]
        if not answer.failure and not {*lost} & {*_lines(answer.response)}:
            return history
    return whole[:last]


def _repeated(context: CheckContext, outcome: Outcome, lost: Sequence[str]) -> list[str]:
    """Return those of the lines that another one-shot run prints as well."""
    again = context.run(Trial(history=(outcome.step,), mode=RunMode.ONE_SHOT, run=1)).outcomes[0]
    known = set(_lines(again.response))
    return [each for each in lost if each in known]


def _lines(text: str) -> list[str]:
    found = (_NUMBER.sub("0", line.strip()) for line in text.splitlines())
    return [each for each in found if len(each) >= _SHORTEST_LINE]


def _finding(
    outcome: Outcome, answer: Outcome, lost: Sequence[str], history: tuple[Step, ...]
) -> Finding:
    action = outcome.step.action
    shown = [
        line
        for line in outcome.response.splitlines()
        if _NUMBER.sub("0", line.strip()) in set(lost)
    ]
    more = f"\n… and {len(shown) - _SHOWN} more lines" if len(shown) > _SHOWN else ""
    is_logged = set(lost) <= set(_lines(answer.stderr))
    where = "\nThe worker writes it to its stderr, which is not shown to users." * is_logged
    return Finding(
        code="RPW218",
        severity=Severity.WARNING,
        victim=action.name,
        summary=f"the worker's response to {action.name} lacks text that a one-shot run prints",
        evidence="printed without --persistent_worker, but not in a warm worker's response:\n"
        + "\n".join(shown[:_SHOWN])
        + more
        + where,
        history=history,
    )
