"""RPW101–105 and RPW202 after a pause: watchdogs that end an idle worker, and clean-ups of idle ones.

The pause comes after other requests, in a trial that was begun long before. If the answer there is not
a fresh worker's, another worker gets only this request, twice.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks import one_worker, state_leaks
from rpw_fixture.hermeticity.checks.blame import code_of_rule
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Outcome, Step, Trial, steps


def begin(context: CheckContext) -> None:
    """Begin the trial that waits, if it is wanted."""
    if _is_wanted(context):
        context.harness.begin(_after_others(context))


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare two equal requests with a pause between them with two without."""
    action = one_worker.subject(context)
    if not _is_wanted(context) or _is_answered(context, action):
        return
    paused = context.run(_trial(context)).outcomes
    usual = context.run(Trial(history=steps(action, action))).outcomes
    if len(paused) < 2 or len(usual) < 2 or not _is_new(context, usual, paused):
        return
    again = context.run(Trial(history=_trial(context).history, run=1)).outcomes
    if len(again) < 2 or not _is_new(context, usual, again):
        return
    before, after = again
    aspects = context.differing(before, after)
    stderr = after.stderr.strip()[-1000:] if after.failure else ""
    yield Finding(
        code=code_of_rule(after.failure) if after.failure else "RPW202",
        victim=action.name,
        polluters=(action.name,),
        outputs=outputs_among(aspects),
        summary=f"after {action.name} and a pause of {context.pause:g} seconds, {action.name} "
        + (f"fails: {after.failure}" if after.failure else "gives a different result"),
        evidence="without the pause, both requests get the same answer\n"
        + context.explain(before, after, aspects, ("before the pause", "after it"))
        + (f"\nworker's stderr: {stderr}" if stderr else ""),
        history=_trial(context).history,
    )


def _is_wanted(context: CheckContext) -> bool:
    """Return whether to wait: a short check for other codes would become a long one."""
    is_asked = bool({"RPW103", "RPW202"} & context.selected)
    return is_asked and context.pause > 0 and not context.is_remote


def _after_others(context: CheckContext) -> Trial:
    last = Step(action=one_worker.subject(context), pause=context.pause)
    return Trial(history=(*state_leaks.first_row(context), last))


def _is_answered(context: CheckContext, action: SuiteAction) -> bool:
    """Return whether a worker that served other requests answers this one as a fresh one, after a pause."""
    last = context.run(_after_others(context)).outcomes[-1]
    return bool(last.step.pause) and not context.differing(context.cold(action), last)


def _trial(context: CheckContext) -> Trial:
    plain = Step(action=one_worker.subject(context))
    return Trial(history=(plain, Step(action=plain.action, pause=context.pause)))


def _is_new(context: CheckContext, usual: tuple[Outcome, ...], paused: tuple[Outcome, ...]) -> bool:
    """Return whether the second answer differs from the first one only if there was a pause."""
    return bool(context.differing(*paused)) and not context.differing(*usual)
