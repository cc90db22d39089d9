"""RPW101–105 for requests that come in pieces, or two of them at once: a pipe keeps no boundaries."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks.blame import code_of_rule
from rpw_fixture.hermeticity.checks.concurrency import compatible
from rpw_fixture.hermeticity.checks.context import CheckContext, names
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS
from rpw_fixture.hermeticity.findings.codes import CODES
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import Delivery, Outcome, RunMode, Step, Trial, steps

_CUT = (Delivery.SPLIT_BODY, Delivery.SPLIT_LENGTH, Delivery.DRIBBLED)
#: What overlapping requests can be answered with though each of them was read.
_MIXED_UP = frozenset(("wrong request_id", "unexpected response"))


def find(context: CheckContext) -> Iterator[Finding]:
    """Compares with a request that came whole; and two in one write with two that came alone."""
    action = (context.succeeding or context.usable)[0]
    plain = context.cold(action)
    for delivery in _CUT:
        step = Step(action=action, delivery=delivery)
        outcome = context.run(Trial(history=(step,))).outcomes[0]
        if context.differing(plain, outcome):
            yield _cut_finding(context, plain, outcome)
            return
    if context.suite.worker.multiplex:
        yield from _joined(context)


def _cut_finding(context: CheckContext, plain: Outcome, outcome: Outcome) -> Finding:
    aspects = context.differing(plain, outcome)
    how = outcome.step.delivery.value
    # Another result is one to a part of the request, as good as a response that nobody asked for.
    code = code_of_rule(outcome.failure) if outcome.failure else "RPW105"
    evidence = context.explain(plain, outcome, aspects, ("in one piece", how))
    return Finding(
        code=code,
        victim=outcome.step.action.name,
        outputs=outputs_among(aspects),
        summary=f"{CODES[code].name}: {outcome.step.action.name}, when the request came {how}: "
        f"{outcome.failure or 'another result'}",
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
        summary=f"{CODES[code].name}: {broken.step.action.name}, when two requests came in one "
        f"write: {broken.failure}",
        evidence=f"each in a write of its own, both were answered\n{broken.detail}"
        + _stderr(broken),
        history=history,
    )


def _first_broken(context: CheckContext, history: tuple[Step, ...]) -> Outcome | None:
    outcomes = context.run(Trial(history=history, mode=RunMode.OVERLAPPING)).outcomes
    return next((each for each in outcomes if each.failure and each.failure not in _MIXED_UP), None)


def _stderr(outcome: Outcome) -> str:
    said = outcome.stderr.strip()
    return f"\nworker's stderr ends with:\n{said[-1500:]}" if said else ""
