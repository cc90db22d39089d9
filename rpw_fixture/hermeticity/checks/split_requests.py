"""RPW118: requests that arrive in pieces, or two in one write. A pipe keeps no boundaries."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.checks.blame import code_of_rule
from rpw_fixture.hermeticity.checks.concurrency import MIXED_UP, compatible
from rpw_fixture.hermeticity.checks.context import CheckContext, names
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS, MISREAD_PIECES, SANDBOX_IGNORED
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import (
    Cancel,
    Delivery,
    Outcome,
    RunMode,
    Step,
    Trial,
    steps,
)

_CODE = "RPW118"


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare split requests with whole ones, and two requests in one write with two writes."""
    action = one_worker.subject(context)
    plain = context.cold(action)
    for delivery in one_worker.CUT:
        outcome = one_worker.answer(context, Step(action=action, delivery=delivery))
        if not context.differing(plain, outcome):
            continue
        again = context.run(Trial(history=(outcome.step,), run=1)).outcomes[0]
        if not context.differing(plain, again):
            context.mark_unreproduced(_CODE)
        else:
            context.facts.share(MISREAD_PIECES, value=True)
            yield _cut_finding(context, plain, outcome)
            return
    worker = context.suite.worker
    if worker.multiplex and not context.facts.read(SANDBOX_IGNORED):
        yield from _joined(context)
    elif worker.cancellation and not worker.multiplex:
        yield from _joined_with_cancel(context)


def _cut_finding(context: CheckContext, plain: Outcome, outcome: Outcome) -> Finding:
    aspects = context.differing(plain, outcome)
    how = outcome.step.delivery.value
    evidence = context.explain(plain, outcome, aspects, ("in one piece", how))
    return Finding(
        code=_CODE,
        victim=outcome.step.action.name,
        outputs=outputs_among(aspects),
        summary=f"when its request arrives {how}, {outcome.step.action.name} {_effect(outcome)}",
        evidence=f"{evidence}\nlikely cause: {_cause(context, outcome.step.delivery)}"
        + _stderr(outcome),
        history=(outcome.step,),
    )


def _effect(outcome: Outcome) -> str:
    if not outcome.failure:
        return "gives a different result"
    code = code_of_rule(outcome.failure)
    return f"fails: {outcome.failure}" + (f" ({code})" if code != _CODE else "")


def _cause(context: CheckContext, delivery: Delivery) -> str:
    """Return the bug that most workers have which do not stand these pieces."""
    if context.suite.worker.protocol == "json":
        return "it parses what one read() returns, and not everything up to the end of the line"
    if delivery is Delivery.SPLIT_LENGTH:
        return "it takes its first byte, or what one read() returns, for the whole length"
    return "it takes what one read() returns for a whole request, and does not wait for the rest"


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
    yield Finding(
        code=_CODE,
        victim=broken.step.action.name,
        polluters=tuple(each for each in names(history) if each != broken.step.action.name),
        summary=f"when two requests arrive in one write, {broken.step.action.name} "
        + _effect(broken),
        evidence=f"in two writes, both requests were answered\n{broken.detail}\n"
        "likely cause: it drops what one read() returns behind the end of a request"
        + _stderr(broken),
        history=history,
        mode=RunMode.OVERLAPPING,
    )


def _joined_with_cancel(context: CheckContext) -> Iterator[Finding]:
    """Yield a finding if a cancel request in one write with its request breaks a singleplex worker.

    Such a worker gets its next request only after the response, so that nothing else is ever joined.
    A cancel request that is written and read after the response shows that it is not the cause itself.
    """
    plain = Step(action=one_worker.subject(context))
    joined, apart = (replace(plain, cancel=each) for each in (Cancel.AT_ONCE, Cancel.AFTERWARDS))
    history = (plain, joined, plain)
    broken = context.run(Trial(history=history)).outcomes[-1]
    if not broken.failure or context.run(Trial(history=(plain, apart, plain))).outcomes[-1].failure:
        return
    broken = context.run(Trial(history=history, run=1)).outcomes[-1]
    if not broken.failure:
        context.mark_unreproduced(_CODE)
        return
    context.facts.share(LOST_REQUESTS, value=True)
    yield Finding(
        code=_CODE,
        victim=broken.step.action.name,
        summary="when a request and its cancel request arrive in one write, "
        f"{broken.step.action.name} {_effect(broken)}",
        evidence=f"in two writes, there is no failure\n{broken.detail}\n"
        "likely cause: it parses what it has read as one request" + _stderr(broken),
        history=history,
    )


def _first_broken(context: CheckContext, history: tuple[Step, ...]) -> Outcome | None:
    outcomes = context.run(Trial(history=history, mode=RunMode.OVERLAPPING)).outcomes
    return next((each for each in outcomes if each.failure and each.failure not in MIXED_UP), None)


def _stderr(outcome: Outcome) -> str:
    said = outcome.stderr.strip()
    return f"\nworker's stderr ends with:\n{said[-1500:]}" if said else ""
