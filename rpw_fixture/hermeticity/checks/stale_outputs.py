"""RPW211: a file is at the path of an output, or in an output folder, before the request is sent.

The file is a text that no tool writes, or what another action has written: a tool may look whether an old
output is sound before it keeps it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rpw_fixture.hermeticity.checks.context import CheckContext, names
from rpw_fixture.hermeticity.findings import diff
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Outcome, Step, Trial, steps
from rpw_fixture.support.paths import join_normalised

_POISON = b"left here before the request was sent\n"
#: The name of a file in an output folder that the tool itself does not write.
_FOREIGN = "rpw-left-here"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A request with files in place, what they are, and the action that made them, if one did."""

    step: Step
    words: str
    maker: SuiteAction | None = None
    severity: Severity = Severity.ERROR


def find(context: CheckContext) -> Iterator[Finding]:
    """Put old outputs in place and compare with runs in a clean folder."""
    colds = [context.cold(each) for each in context.succeeding]
    questions = [each for cold in colds for each in _questions(context, cold, colds)]
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


def _suspects(context: CheckContext, questions: list[_Question]) -> list[_Question]:
    """Return the questions whose results, all in one worker, differ from a fresh worker's."""
    if not questions:
        return []
    outcomes = context.run(Trial(history=tuple(each.step for each in questions))).outcomes
    clean = {
        each.step
        for each in outcomes
        if not context.differing(context.cold(each.step.action), each)
    }
    return [each for each in questions if each.step not in clean]


def _questions(context: CheckContext, cold: Outcome, others: list[Outcome]) -> Iterator[_Question]:
    """Yield requests whose outputs are there already, the surest sign of a bug first."""
    base = context.suite.worker.working_directory
    action = cold.step.action
    declared = sorted({join_normalised(base, each) for each in action.outputs} - {*action.inputs})
    folders = [each for each in declared if cold.outputs.get(each) == "folder"]
    inside = [
        path
        for path, text in cold.outputs.items()
        if text != "folder" and any(path.startswith(f"{each}/") for each in folders)
    ]
    paths = [each for each in declared if each not in folders] + inside
    if paths:
        planted = tuple((path, _POISON) for path in paths)
        yield _Question(
            step=Step(action=action, planted=planted),
            words="an output that exists before the request",
        )
    for other in others:
        if other is not cold and (foreign := _of_other(context, cold, other, paths)):
            yield _Question(
                step=Step(action=action, planted=foreign),
                words="an output of another action that is there before the request",
                maker=other.step.action,
            )
            break
    if folders:
        planted = tuple((f"{each}/{_FOREIGN}", _POISON) for each in folders)
        # Many servers, Bazel among them, empty output folders before each action.
        yield _Question(
            step=Step(action=action, planted=planted),
            words="a file that is in an output folder before the request",
            severity=Severity.WARNING,
        )


def _of_other(
    context: CheckContext, cold: Outcome, other: Outcome, paths: list[str]
) -> tuple[tuple[str, bytes], ...]:
    """Return outputs of another action, at their own paths and at those of this action's outputs."""
    contents = {
        path: found[0]
        for path in other.outputs
        if (found := diff.content(other.outputs[path], context.harness.store)) is not None
    }
    taken = (*cold.step.action.inputs, *cold.outputs)
    placed = {path: content for path, content in contents.items() if not _is_taken(path, taken)}
    several = list(contents.values())
    placed |= {path: several[at % len(several)] for at, path in enumerate(paths) if several}
    return tuple(sorted(placed.items()))


def _is_taken(path: str, others: tuple[str, ...]) -> bool:
    """Return whether a path is one of some others, or is below or above one of them."""
    return any(f"{path}/".startswith(f"{each}/") or each.startswith(f"{path}/") for each in others)


def _finding(
    context: CheckContext,
    question: _Question,
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
