"""RPW211: a file is at the path of an output, or in an output folder, before the request is sent.

The file is a text that no tool writes, or what another action has written: a tool may look whether an old
output is sound before it keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks import old_outputs, warm_questions
from rpw_fixture.hermeticity.checks.context import CheckContext, names
from rpw_fixture.hermeticity.checks.old_outputs import OldOutput
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Outcome, Trial, steps


def find(context: CheckContext) -> Iterator[Finding]:
    """Put old outputs in place and compare with runs in a clean folder."""
    questions = old_outputs.questions(context)
    if not questions:
        context.skip("RPW211", "no action that succeeds has a file or folder among its outputs")
    suspects = _suspects(context, questions)
    seen: set[str] = set()
    results = context.run_all([Trial(history=(each.step,)) for each in suspects])
    for question, result in zip(suspects, results, strict=True):
        outcome = result.outcomes[0]
        cold = context.cold(outcome.step.action)
        aspects = [each for each in context.differing(cold, outcome) if each != RESPONSE]
        if aspects and outcome.step.action.name not in seen:
            seen.add(outcome.step.action.name)
            yield _finding(context, question, cold, outcome, aspects)


def _suspects(context: CheckContext, questions: list[OldOutput]) -> list[OldOutput]:
    """Return the questions whose results, all in one worker, differ from a fresh worker's."""
    if not questions:
        return []
    answered = warm_questions.ask(context).more
    return [each for each in questions if not _is_clean(context, answered.get(each.step))]


def _is_clean(context: CheckContext, outcome: Outcome | None) -> bool:
    if outcome is None:
        return False
    return not context.differing(context.cold(outcome.step.action), outcome)


def _finding(
    context: CheckContext,
    question: OldOutput,
    cold: Outcome,
    outcome: Outcome,
    aspects: list[str],
) -> Finding:
    action = outcome.step.action
    before = steps(question.maker) if question.maker is not None else ()
    return Finding(
        code="RPW211",
        severity=question.severity,
        victim=action.name,
        polluters=names(before),
        outputs=outputs_among(aspects),
        summary=f"{question.words} changes the result of {action.name}",
        evidence=context.explain(cold, outcome, aspects, ("clean folder", "old outputs in place")),
        history=(*before, outcome.step),
    )
