"""Requests whose outputs, or files in output folders, are there before they are sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings import diff
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Outcome, Step
from rpw_fixture.support.paths import join_normalised

_POISON = b"left here before the request was sent\n"
#: The name of a file in an output folder that the tool itself does not write.
_FOREIGN = "rpw-left-here"


@dataclass(frozen=True, slots=True, kw_only=True)
class OldOutput:
    """A request with files in place, what they are, and the action that made them, if one did."""

    step: Step
    words: str
    maker: SuiteAction | None = None
    severity: Severity = Severity.ERROR


def questions(context: CheckContext) -> list[OldOutput]:
    """Return the questions about all actions that succeed; an endpoint can't be asked any."""
    if context.is_remote:
        return []
    colds = [context.cold(each) for each in context.succeeding]
    return [each for cold in colds for each in _questions(context, cold, colds)]


def _questions(context: CheckContext, cold: Outcome, others: list[Outcome]) -> Iterator[OldOutput]:
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
        yield OldOutput(
            step=Step(action=action, planted=planted),
            words="an output that exists before the request",
        )
    for other in others:
        if other is not cold and (foreign := _of_other(context, cold, other, paths)):
            yield OldOutput(
                step=Step(action=action, planted=foreign),
                words="an output of another action that is there before the request",
                maker=other.step.action,
            )
            break
    if folders:
        planted = tuple((f"{each}/{_FOREIGN}", _POISON) for each in folders)
        # Many servers, Bazel among them, empty output folders before each action.
        yield OldOutput(
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
