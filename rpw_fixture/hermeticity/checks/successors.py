"""Comparing a worker that starts where an earlier one ended with a worker in a fresh place.

What an earlier worker left in HOME, in TMPDIR or as undeclared files is no finding. A result that
differs because of it is one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import SEEN_ONCE, Finding, outputs_among
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Outcome, Predecessor, Result, Step, Trial

LABELS = ("fresh worker in a fresh place", "fresh worker in the place of another")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuspectVictim:
    """A result that differs from the one in a fresh place.

    Attributes:
        victim: the request.
        before: the requests before it to the same worker.
        usual: its outcome in a fresh place.
        found: its outcome in the place of other workers.
        aspects: names of what differs.
    """

    victim: Step
    before: tuple[Step, ...]
    usual: Outcome
    found: Outcome
    aspects: tuple[str, ...]


def trial(
    context: CheckContext,
    history: tuple[Step, ...],
    predecessors: tuple[Predecessor, ...],
    run: int = 0,
) -> Trial:
    """Return a trial of a worker that starts where others ended, which get time to end well."""
    return Trial(
        history=history, predecessors=predecessors, run=run, eof_patience=_patience(context)
    )


def _patience(context: CheckContext) -> float:
    usual = Trial(history=()).eof_patience
    return usual if context.harness.book.ignores_eof else context.eof_patience


def suspects(context: CheckContext, outcomes: Sequence[Outcome]) -> Iterator[SuspectVictim]:
    """Yield the outcomes of one worker that differ from those in a fresh place."""
    done: tuple[Step, ...] = ()
    for outcome in outcomes:
        before, done = done, (*done, outcome.step)
        if not context.differing(context.cold(outcome.step.action), outcome):
            continue
        # A worker that leaks state gives other results when it is warm, wherever it starts.
        same = context.run(Trial(history=done)).outcomes
        if len(same) == len(done) and (aspects := context.differing(same[-1], outcome)):
            yield SuspectVictim(
                victim=outcome.step,
                before=before,
                usual=same[-1],
                found=outcome,
                aspects=tuple(aspects),
            )


def reproduced(
    context: CheckContext,
    suspect: SuspectVictim,
    predecessors: tuple[Predecessor, ...],
    run: int = 0,
) -> Result | None:
    """Return the result if a worker after these predecessors shows the difference again, else None."""
    shown = reproducing(context, suspect, predecessors, run)
    return context.run(shown) if shown is not None else None


def reproducing(
    context: CheckContext,
    suspect: SuspectVictim,
    predecessors: tuple[Predecessor, ...],
    run: int = 0,
) -> Trial | None:
    """Return the trial of a worker after these predecessors that shows the difference, else None."""
    for before in dict.fromkeys(((), suspect.before)):
        history = (*before, suspect.victim)
        usual = context.run(Trial(history=history)).outcomes
        asked = trial(context, history, predecessors, run)
        found = context.run(asked)
        if len(found.outcomes) < len(history) or len(usual) < len(history):
            continue
        if set(context.differing(usual[-1], found.outcomes[-1])) & set(suspect.aspects):
            return asked
    return None


def finding(
    context: CheckContext,
    suspect: SuspectVictim,
    *,
    code: str,
    polluters: Sequence[Step],
    how: str,
    shown: Trial | None = None,
    is_doubtful: bool = False,
) -> Finding:
    """Return the finding about a suspect.

    Args:
        context, suspect: what it is about.
        code: its code.
        polluters: the requests of the earlier workers.
        how: what happened to the workers before, in words.
        shown: the trial that shows it; None if none did so twice.
        is_doubtful: it could not be reproduced.
    """
    victim = suspect.victim.action
    severity = Severity.WARNING if suspect.aspects == (RESPONSE,) else Severity.ERROR
    evidence = context.explain(suspect.usual, suspect.found, list(suspect.aspects), LABELS)
    if suspect.found.failure and suspect.found.stderr.strip():
        evidence += f"\nworker's stderr: {suspect.found.stderr.strip()[-1000:]}"
    return Finding(
        code=code,
        severity=Severity.INFO if is_doubtful else severity,
        victim=victim.name,
        polluters=tuple(each.action.name for each in polluters),
        outputs=outputs_among(list(suspect.aspects)),
        summary=f"{how}, {victim.title} gives a different result in a fresh worker in its place"
        + SEEN_ONCE * is_doubtful,
        evidence=evidence,
        history=(*polluters, suspect.victim),
        trial=shown,
        is_doubtful=is_doubtful,
    )
