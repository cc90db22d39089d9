"""RPW116 and RPW117: what a worker that says sandbox or multiplex makes of it."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.checks.concurrency import compatible
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import LOST_REQUESTS, SANDBOX_IGNORED
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Outcome, RunMode, Step, Trial, steps

#: What fits into a pipe of which nothing is read yet, bytes.
_MOST_HELD = 1 << 16


def find_ignored_sandbox(context: CheckContext) -> Iterator[Finding]:
    """Send a single request with ``sandbox_dir``: its inputs are there, and its outputs must be."""
    if not context.suite.worker.sandbox:
        context.skip("RPW116", "the suite does not say sandbox = true")
        return
    action = one_worker.subject(context)
    plain = context.cold(action)
    outcome = _in_sandbox(context, steps(action), 0)
    if not context.differing(plain, outcome):
        return
    outcome = _in_sandbox(context, steps(action), 1)
    aspects = context.differing(plain, outcome)
    if not aspects:
        context.mark_unreproduced("RPW116")
        return
    context.facts.share(SANDBOX_IGNORED, value=True)
    evidence = [context.explain(plain, outcome, aspects, ("without sandbox_dir", "with it"))]
    evidence += [outcome.detail, outcome.response.strip()[-500:]]
    yield Finding(
        code="RPW116",
        victim=action.name,
        outputs=outputs_among(aspects),
        summary=f"with sandbox_dir, {action.name} "
        + (f"fails: {outcome.failure}" if outcome.failure else "gives a different result"),
        evidence="\n".join(each for each in evidence if each),
        history=steps(action),
        mode=RunMode.OVERLAPPING,
    )


def _in_sandbox(context: CheckContext, history: tuple[Step, ...], run: int) -> Outcome:
    return context.run(Trial(history=history, mode=RunMode.OVERLAPPING, run=run)).outcomes[0]


def find_serial(context: CheckContext) -> Iterator[Finding]:
    """Hold one request at an input, and look whether another one is answered meanwhile."""
    history, reason = held_history(context)
    if reason:
        context.skip("RPW117", reason)
        return
    holding = context.run(Trial(history=history, mode=RunMode.HELD)).holding
    if not holding.is_held:
        path, name = history[1].held_at, history[1].action.name
        context.skip("RPW117", f"{name} does not wait for {path}, so it could not be held there")
        return
    if holding.is_served:
        context.notes["RPW117"] = f"answered after {holding.waited:.3f} s, while another one waited"
        return
    again = context.run(Trial(history=history, mode=RunMode.HELD, run=1)).holding
    if again.is_held and not again.is_served:
        other, held = history[0].action.name, history[1].action.name
        yield Finding(
            code="RPW117",
            severity=Severity.INFO,
            victim=other,
            polluters=(held,),
            summary=f"the worker serves one request after the other: {other} waits for {held}",
            evidence=f"{other} took {again.usual:.3f} s with the worker's start; while {held} waited "
            f"for {history[1].held_at}, it was not answered within {again.waited:.1f} s",
            history=history,
        )


def held_history(context: CheckContext) -> tuple[tuple[Step, ...], str]:
    """Return requests of which the second can be held, or why no two of them can overlap."""
    is_lossy = context.facts.read(LOST_REQUESTS)
    is_wrong = context.facts.read(SANDBOX_IGNORED)
    if not context.suite.worker.multiplex:
        return (), "the suite does not say multiplex = true"
    if is_lossy:
        return (), "the worker loses requests that come in one write"
    if is_wrong:
        return (), "the worker ignores sandbox_dir (RPW116)"
    group = [each for each in compatible(context) if each.exit_code == 0]
    for held in group:
        for other in group:
            path = _private_input(context, held, other)
            if other != held and path:
                plain = Step(action=other)
                return (plain, Step(action=held, held_at=path), plain), ""
    return (), "no two actions can overlap so that one has an input that the other does not have"


def _private_input(context: CheckContext, held: SuiteAction, other: SuiteAction) -> str:
    """Return an input of one action that another one does not have; empty if there is none."""
    shared = {} if context.suite.worker.sandbox else other.inputs
    found = (
        path
        for path, entry in held.inputs.items()
        if isinstance(entry, File) and 0 < len(entry.content) < _MOST_HELD and path not in shared
    )
    return next(found, "")
