"""RPW211: a file is at the path of an output before the request is sent."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Outcome, Step, Trial
from rpw_fixture.support.paths import join_normalised

_POISON = b"left here before the request was sent\n"


def find(context: CheckContext) -> Iterator[Finding]:
    """Put old outputs in place and compare with runs in a clean folder."""
    planned = [_planted(context, context.cold(each)) for each in context.succeeding]
    planted = [each for each in planned if each is not None]
    if not planted:
        context.skip("RPW211", "no action that succeeds has a file among its outputs")
    trials = [Trial(history=(step,)) for step in _suspects(context, planted)]
    for result in context.run_all(trials):
        outcome = result.outcomes[0]
        cold = context.cold(outcome.step.action)
        aspects = [each for each in context.differing(cold, outcome) if each != RESPONSE]
        if aspects:
            yield _finding(context, cold, outcome, aspects)


def _suspects(context: CheckContext, planted: list[Step]) -> list[Step]:
    """Return the requests whose results, all in one worker, differ from a fresh worker's."""
    if not planted:
        return []
    outcomes = context.run(Trial(history=tuple(planted))).outcomes
    clean = {
        each.step
        for each in outcomes
        if not context.differing(context.cold(each.step.action), each)
    }
    return [each for each in planted if each not in clean]


def _planted(context: CheckContext, cold: Outcome) -> Step | None:
    """Return a request whose output files exist already; None if it has no output files."""
    base = context.suite.worker.working_directory
    declared = {join_normalised(base, each) for each in cold.step.action.outputs}
    folders = {each for each in declared if cold.outputs.get(each) == "folder"}
    paths = sorted(each for each in declared - folders if each not in cold.step.action.inputs)
    if not paths:
        return None
    return Step(action=cold.step.action, planted=tuple((path, _POISON) for path in paths))


def _finding(context: CheckContext, cold: Outcome, outcome: Outcome, aspects: list[str]) -> Finding:
    action = outcome.step.action
    return Finding(
        code="RPW211",
        victim=action.name,
        outputs=outputs_among(aspects),
        summary=f"an output that exists before the request changes the result of {action.name}",
        evidence=context.explain(cold, outcome, aspects, ("clean folder", "old outputs in place")),
        history=(outcome.step,),
    )
