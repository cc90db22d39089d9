"""RPW114 and RPW115: JSON responses that one server's reader accepts and another's does not.

Bazel's reader skips names that it does not know; protobuf's JSON readers also take names such as
``exit_code``, and refuse other unknown ones. Some servers wait for the newline after the object.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.trial import BASE, Outcome, Result, RunMode, Trial, steps
from rpw_fixture.support.plurals import counted
from rpw_fixture.wire.worker.json_encoding import intended_field

_ONLY_JSON = 'the suite says protocol = "proto", and only JSON workers can do that'


def find(context: CheckContext) -> Iterator[Finding]:
    """Look at the responses of all runs, with one to a failing request among them."""
    if context.suite.worker.protocol != "json":
        for code in ("RPW114", "RPW115"):
            context.skip(code, _ONLY_JSON)
        return
    context.failing_variant(one_worker.subject(context))
    yield from _misspelt(context)
    yield from _unterminated(context)


def lost_exit_code(outcome: Outcome) -> str | None:
    """Return the exit code in a field that Bazel ignores; None if there is no such field."""
    found = (value for name, value in outcome.ignored if intended_field(name) == "exitCode")
    return next(found, None)


def _misspelt(context: CheckContext) -> Iterator[Finding]:
    """Yield one finding for all responses with unknown fields, the one that loses most."""
    outcomes = [
        outcome
        for _, result in context.harness.book.results
        for outcome in result.outcomes
        if outcome.ignored
    ]
    if not outcomes:
        return
    worst = max(outcomes, key=lambda each: lost_exit_code(each) not in {None, "0"})
    fields = {name: value for each in [*outcomes, worst] for name, value in each.ignored}
    names = ", ".join(fields)
    lost = lost_exit_code(worst)
    yield Finding(
        code="RPW114",
        severity=Severity.WARNING,
        victim=worst.step.action.name,
        summary=f"a JSON response has fields that no WorkResponse has: {names}"
        + (f"; the exit code {lost} of {worst.step.action.title} is lost" if lost else ""),
        evidence="\n".join(_explained(name, value) for name, value in fields.items()),
        history=(worst.step,),
    )


def _explained(name: str, value: str) -> str:
    field = intended_field(name)
    if not field:
        return (
            f"{name} = {value}: Bazel ignores it, and strict protobuf readers refuse the response"
        )
    return (
        f"{name} = {value}: its name in JSON is {field}; Bazel ignores it, protobuf readers may not"
    )


def _unterminated(context: CheckContext) -> Iterator[Finding]:
    """Yield a finding if responses end without a newline, twice.

    The last response of a worker that does not end in time is not judged. With two requests one is.
    """
    action = one_worker.subject(context)
    context.run(Trial(history=steps(action, action)))
    runs = [each for each in context.harness.book.results if _is_usual(*each)]
    ended = [trial for trial, result in runs if result.ending.unterminated]
    if not ended:
        return
    shortest = min(ended, key=lambda each: len(each.history))
    history = shortest.history if len(shortest.history) > 1 else shortest.history * 2
    again = context.run(Trial(history=history, run=1))
    if not again.ending.unterminated:
        return
    count = counted(again.ending.unterminated, "response")
    yield Finding(
        code="RPW115",
        severity=Severity.WARNING,
        victim=shortest.history[-1].action.name,
        summary="a JSON response ends without a newline",
        evidence=f"{count} of {len(again.outcomes)}; NativeLink waits for a newline until the timeout, "
        "Bazel does not",
        history=history,
    )


def _is_usual(trial: Trial, result: Result) -> bool:
    is_answered = bool(result.outcomes) and not result.outcomes[-1].failure
    return trial.mode is RunMode.WORKER and trial.variation == BASE and is_answered
