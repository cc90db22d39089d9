"""RPW107: a request with a field that the protocol does not have today."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import Step


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare with the same request without the field."""
    action = one_worker.subject(context)
    step = Step(action=action, is_extended=True)
    outcome = one_worker.answer(context, step)
    plain = context.cold(action)
    aspects = context.differing(plain, outcome)
    if aspects:
        effect = outcome.failure or "a different result"
        yield Finding(
            code="RPW107",
            victim=action.name,
            outputs=outputs_among(aspects),
            summary=f"an unknown field in the WorkRequest leads to: {effect}",
            evidence=context.explain(
                plain, outcome, aspects, ("without the field", "with the field")
            )
            + (f"\nworker's stderr: {outcome.stderr.strip()[-1000:]}" if outcome.stderr else ""),
            history=(step,),
        )
