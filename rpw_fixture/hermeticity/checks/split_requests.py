"""RPW101–105 for requests that arrive in pieces, or two in one write: a pipe keeps no boundaries."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.checks.blame import code_of_rule
from rpw_fixture.hermeticity.checks.concurrency import MIXED_UP, compatible
from rpw_fixture.hermeticity.checks.context import CheckContext, names
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import Delivery, Outcome, RunMode, Step, Trial, steps


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare split requests with whole ones, and two requests in one write with two writes."""
    action = one_worker.subject(context)
    plain = context.cold(action)
    for delivery in one_worker.CUT:
        outcome = one_worker.answer(context, Step(action=action, delivery=delivery))
        if context.differing(plain, outcome):
            yield _cut_finding(context, plain, outcome)
            return
    if context.suite.worker.multiplex:
        yield from _joined(context)


def _cut_finding(context: CheckContext, plain: Outcome, outcome: Outcome) -> Finding:
    aspects = context.differing(plain, outcome)
    how = outcome.step.delivery.value
    # A different result answers a part of the request: a response to no request at all.
    code = code_of_rule(outcome.failure) if outcome.failure else "RPW105"
    evidence = context.explain(plain, outcome, aspects, ("in one piece", how))
    return Finding(
        code=code,
        victim=outcome.step.action.name,
        outputs=outputs_among(aspects),
        summary=f"when its request arrives {how}, {outcome.step.action.name} "
        + (f"fails: {outcome.failure}" if outcome.failure else "gives a different result"),
        evidence=evidence + _stderr(outcome),
        history=(outcome.step,),
    )


def _joined(context: CheckContext) -> Iterator[Finding]:
    pair = compatible(context)[:2]
    if len(pair) < 2:
        return
    history = steps(*pair)
    broken = _first_broken(context, history)
    alone = tuple(Step(action=each, delivery=Delivery.ALONE) for each in pair)
    if broken is None or _first_broken(context, alone) is not None:
        return
    context.facts.share(LOST_REQUESTS, value=True)
    code = code_of_rule(broken.failure)
    yield Finding(
        code=code,
        victim=broken.step.action.name,
        polluters=tuple(each for each in names(history) if each != broken.step.action.name),
        summary=f"when two requests arrive in one write, {broken.step.action.name} fails: "
        f"{broken.failure}",
        evidence=f"in two writes, both requests were answered\n{broken.detail}" + _stderr(broken),
        history=history,
    )


def _first_broken(context: CheckContext, history: tuple[Step, ...]) -> Outcome | None:
    outcomes = context.run(Trial(history=history, mode=RunMode.OVERLAPPING)).outcomes
    return next((each for each in outcomes if each.failure and each.failure not in MIXED_UP), None)


def _stderr(outcome: Outcome) -> str:
    said = outcome.stderr.strip()
    return f"\nworker's stderr ends with:\n{said[-1500:]}" if said else ""
