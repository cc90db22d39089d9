"""RPW113: large requests and answers, and RPW104 for request ids that a singleplex worker must return.

A request is enlarged in ways that change no result: with inputs that the tool does not need, and with an
option that it does not know, which many tools repeat in their answer. A small one of the same kind shows
what the worker makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.checks.blame import code_of_rule
from rpw_fixture.hermeticity.checks.concurrency import MIXED_UP
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import MISREAD_PIECES
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Bulk, Outcome, RunMode, Step, Trial
from rpw_fixture.hermeticity.trials.worker_session import TIMEOUT
from rpw_fixture.wire.worker.messages import ProtocolRule

#: The time limit of a request that is asked again, in time limits of the suite.
_PATIENCE = 3
_UNITS = ((1 << 20, "MiB"), (1 << 10, "KiB"), (1, "bytes"))


def find(context: CheckContext) -> Iterator[Finding]:
    """Send requests of growing size to one worker; ask again in a fresh one what it does not serve."""
    if context.facts.read(MISREAD_PIECES):
        context.skip(
            "RPW113", "the worker misreads requests that arrive in pieces; fix RPW118 first"
        )
        return
    outcomes = one_worker.large_answers(context)
    answered = {each.step.bulk: each for each in outcomes}
    finding = next(
        filter(None, (_judged(context, kind, answered) for kind in one_worker.LARGE)), None
    )
    if finding is not None:
        yield finding
    elif outcomes[-1].failure:
        _skip_rest(context, outcomes[-1])
    else:
        largest = max(len(each.response.encode(errors="replace")) for each in outcomes)
        context.notes["RPW113"] = f"the largest answer had {_size(largest)}"


def find_lost_ids(context: CheckContext) -> Iterator[Finding]:
    """Find singleplex workers that do not return a request id which is not 0 (RPW104, a warning)."""
    if context.is_remote:
        return  # the server chooses the ids
    action = one_worker.subject(context)
    for request_id in one_worker.REQUEST_IDS:
        step = Step(action=action, request_id=request_id)
        outcome = one_worker.answer(context, step)
        # A worker that counts its requests answers with the id of one that might have come before.
        is_lost = outcome.failure in MIXED_UP
        is_other = outcome.failure == ProtocolRule.UNEXPECTED_RESPONSE
        detail = "the only response has another request_id" if is_other else outcome.detail
        if not outcome.failure or context.cold(action).failure:
            continue
        is_mild = is_lost and not context.suite.worker.multiplex
        yield Finding(
            code="RPW104" if is_lost else "RPW113",
            severity=Severity.WARNING if is_mild else Severity.ERROR,
            victim=action.name,
            summary=f"a request with request_id {request_id} "
            + ("is answered with another id" if is_lost else f"fails: {outcome.failure}"),
            evidence=detail
            + ("\nBazel sends 0 to singleplex workers; other servers may not" if is_mild else "")
            + _stderr(outcome),
            history=(step,),
        )
        return


def _judged(
    context: CheckContext, kind: Sequence[Bulk], answered: dict[Bulk, Outcome]
) -> Finding | None:
    """Return the finding for the first request of a kind that is not served like the small one."""
    small = answered.get(kind[0])
    if small is None or small.failure:
        return None
    for bulk in kind[1:]:
        large = answered.get(bulk)
        if large is None or not _problem(context, small, large):
            continue
        # A slow reader on a busy machine gets more time before it is accused.
        patience = _PATIENCE * context.suite.worker.timeout if large.failure == TIMEOUT else None
        alone = context.run(Trial(history=(large.step,), timeout=patience)).outcomes[0]
        fresh = context.run(Trial(history=(small.step,))).outcomes[0]
        if _problem(context, fresh, alone):
            return None if _is_too_large_for(context, alone) else _finding(context, fresh, alone)
    return None


def _is_too_large_for(context: CheckContext, large: Outcome) -> bool:
    """Return whether an endpoint does not run so large an action at all; skip the code then."""
    if not context.is_remote or not large.failure:
        return False
    reason = "the suite says one_shot = false, so that a limit of the endpoint may be the cause"
    if context.suite.worker.one_shot:
        trial = Trial(history=(large.step,), mode=RunMode.ONE_SHOT)
        if not context.run(trial).outcomes[0].failure:
            return False
        reason = "the endpoint does not run it without a worker either"
    context.skip("RPW113", f"with {large.step.bulk.value} there is no result; {reason}")
    return True


def _problem(context: CheckContext, small: Outcome, large: Outcome) -> str:
    """Return how a large request is served unlike a small one; empty if there is no difference.

    The text of the response may differ, for example in what it repeats of the arguments.
    """
    if large.failure:
        return f"fails: {large.failure}"
    if bool(small.exit_code) != bool(large.exit_code):
        return f"gives exit code {large.exit_code} instead of {small.exit_code}"
    aspects = set(context.differing(small, replace(large, exit_code=small.exit_code)))
    return "gives a different result" if aspects - {RESPONSE} else ""


def _finding(context: CheckContext, small: Outcome, large: Outcome) -> Finding:
    aspects = [each for each in context.differing(small, large) if each != RESPONSE]
    action, bulk = large.step.action, large.step.bulk
    code = f" ({code_of_rule(large.failure)})" if large.failure else ""
    detail = large.detail or context.explain(small, large, aspects, ("small", "large"))
    return Finding(
        code="RPW113",
        victim=action.name,
        outputs=outputs_among(aspects),
        summary=f"{action.name} with {bulk.value} {_problem(context, small, large)}{code}",
        evidence=f"with {small.step.bulk.value} it is served; with {bulk.value}:\n{detail}"
        + _stderr(large),
        history=(large.step,),
    )


def _skip_rest(context: CheckContext, last: Outcome) -> None:
    """Skip the code, because the worker failed where a fresh one does not."""
    text = f"with {last.step.bulk.value} the worker fails ({last.failure}), but not a fresh one"
    context.skip("RPW113", f"larger requests were not tried: {text}")


def _size(count: int) -> str:
    factor, unit = next(each for each in _UNITS if count >= each[0] or each[0] == 1)
    return f"{count / factor:.0f} {unit}"


def _stderr(outcome: Outcome) -> str:
    said = outcome.stderr.strip()
    return f"\nworker's stderr ends with:\n{said[-1500:]}" if said else ""
