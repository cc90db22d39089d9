"""RPW209 for the verbosity of a request, which only the text of a response may follow."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks import one_worker
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Step, Trial

FACTOR = "verbosity"


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare with the same request with the verbosity of ``--worker_verbose``."""
    if context.is_remote:
        return
    action = one_worker.subject(context)
    step = Step(action=action, verbosity=one_worker.VERBOSITY)
    plain = context.cold(action)
    outcome = one_worker.answer(context, step)
    note = context.notes.get("RPW209", "varied: nothing else")
    context.notes["RPW209"] = note.replace("varied: ", f"varied: {FACTOR}, ", 1)
    if not _aspects(context.differing(plain, outcome)):
        return
    again = context.run(Trial(history=(step,), run=1)).outcomes[0]
    context.learn([action])
    aspects = _aspects(context.differing(plain, again))
    if not aspects:
        context.mark_unreproduced("RPW209")
        return
    effect = f"fails: {again.failure}" if again.failure else "gives another result"
    labels = ("verbosity 0", f"verbosity {one_worker.VERBOSITY}")
    stderr = again.stderr.strip()[-1000:] if again.failure else ""
    yield Finding(
        code="RPW209",
        victim=action.name,
        outputs=outputs_among(aspects),
        summary=f"the result of {action.name} depends on the environment: {FACTOR} "
        f"(with {one_worker.VERBOSITY} it {effect})",
        evidence=context.explain(plain, again, aspects, labels)
        + (f"\nworker's stderr: {stderr}" if stderr else ""),
        history=(step,),
    )


def _aspects(differing: list[str]) -> list[str]:
    return [each for each in differing if each != RESPONSE]
