"""The part of RPW209 that servers choose: which inputs a WorkRequest lists, and with which digests.

A digest is opaque. A worker may assume that an input with the same digest has the same content, so
one digest for two contents is never tried: no server sends that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.checks import shrinking, warm_questions
from rpw_fixture.hermeticity.checks.context import CheckContext, names, titles
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import SEEN_ONCE, Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import RESPONSE, Listing, Outcome, Step, Trial

FACTOR = "listed inputs"
#: Bazel lists all inputs; some servers list none, and Bazel sends no digest for some files.
_PORTABILITY = frozenset((Listing.NONE, Listing.EMPTY))
_OTHERS = (Listing.RAW, Listing.MESSAGE, Listing.CHANGING, Listing.NONE, Listing.EMPTY)
_MAX_RUNS = 60


def find(context: CheckContext) -> Iterator[Finding]:
    """Compare histories that differ only in the listed inputs; yield one finding for each victim."""
    if context.is_remote:
        return  # an endpoint decides itself what it lists
    found: dict[str, Finding] = {}
    for listing in _suspects(context):
        finding = _first_victim(context, listing)
        if finding is None:
            continue
        known = found.get(finding.victim)
        if known is None or (known.is_doubtful and not finding.is_doubtful):
            found[finding.victim] = finding
        elif not finding.is_doubtful:
            evidence = f"{known.evidence}\nthe same with {listing.value}"
            found[finding.victim] = replace(known, evidence=evidence)
    note = context.notes.get("RPW209", "varied: nothing else")
    context.notes["RPW209"] = note.replace("varied: ", f"varied: {FACTOR}, ", 1)
    yield from found.values()


def _listed(actions: Sequence[SuiteAction], listing: Listing) -> tuple[Step, ...]:
    return tuple(Step(action=each, listing=listing) for each in actions)


def _suspects(context: CheckContext) -> Sequence[Listing]:
    """Return the lists to try one by one: none if one worker's results are the usual ones with all."""
    asked = warm_questions.listed(context)
    outcomes = warm_questions.listing_outcomes(context)
    is_whole = len(outcomes) == len(asked)
    is_clean = is_whole and not any(_is_unusual(context, each) for each in outcomes)
    return () if is_clean else _OTHERS


def _is_unusual(context: CheckContext, outcome: Outcome) -> bool:
    return bool(context.differing(context.cold(outcome.step.action), outcome))


def _first_victim(context: CheckContext, listing: Listing) -> Finding | None:
    actions = context.pick() * 2  # the second request may be answered from a cache
    usual = context.run(Trial(history=_listed(actions, Listing.HEX))).outcomes
    histories: list[Sequence[SuiteAction]] = [actions]
    if len(usual) < len(actions):
        # The worker does not survive that many requests: use short histories.
        histories = [(each, each) for each in context.pick()]
    for history in histories:
        trials = [Trial(history=_listed(history, each)) for each in (Listing.HEX, listing)]
        one, other = (each.outcomes for each in context.run_all(trials))
        for place, pair in enumerate(zip(one, other, strict=False)):
            if not context.differing(*pair):
                continue
            context.learn([history[place]])
            if context.differing(*pair):
                found = _confirmed(context, history[:place], history[place], listing)
                return found or _doubtful(context, pair, _listed(history[: place + 1], listing))
    return None


def _confirmed(
    context: CheckContext, before: Sequence[SuiteAction], victim: SuiteAction, listing: Listing
) -> Finding | None:
    """Return the finding with the fewest requests before the victim that show it twice, if any."""

    def is_guilty(part: Sequence[SuiteAction], run: int = 0) -> bool:
        pair = _pair(context, (*part, victim), listing, run)
        return pair is not None and bool(context.differing(*pair))

    least: tuple[SuiteAction, ...] = ()
    if not is_guilty(least):
        if not is_guilty(before):
            return None
        least = shrinking.minimise(before, is_guilty, max_questions=_MAX_RUNS)
    pair = _pair(context, (*least, victim), listing, 0)
    if pair is None or not is_guilty(least, run=1):
        return None
    return _finding(context, pair, _listed((*least, victim), listing))


def _pair(
    context: CheckContext, history: Sequence[SuiteAction], listing: Listing, run: int
) -> tuple[Outcome, Outcome] | None:
    """Return the last outcomes with the usual list and with the other; None if one is missing."""
    trials = [Trial(history=_listed(history, each), run=run) for each in (Listing.HEX, listing)]
    one, other = (each.outcomes for each in context.run_all(trials))
    if len(one) < len(history) or len(other) < len(history):
        return None
    return one[-1], other[-1]


def _doubtful(
    context: CheckContext, pair: tuple[Outcome, Outcome], history: tuple[Step, ...]
) -> Finding:
    """Return the finding for a difference that could not be reproduced."""
    finding = _finding(context, pair, history)
    summary = f"{finding.summary}{SEEN_ONCE}"
    return replace(finding, severity=Severity.INFO, summary=summary, is_doubtful=True)


def _finding(
    context: CheckContext, pair: tuple[Outcome, Outcome], history: tuple[Step, ...]
) -> Finding:
    aspects = context.differing(*pair)
    victim, before = history[-1], history[:-1]
    is_lesser = aspects == [RESPONSE] or victim.listing in _PORTABILITY
    labels = (Listing.HEX.value, victim.listing.value)
    after = f" after {titles(before)}" if before else ""
    return Finding(
        code="RPW209",
        severity=Severity.WARNING if is_lesser else Severity.ERROR,
        victim=victim.action.name,
        polluters=names(before),
        outputs=outputs_among(aspects),
        summary=f"the result of {victim.action.name}{after} depends on the environment: {FACTOR}",
        evidence=f"if the request lists {victim.listing.value}:\n"
        + context.explain(*pair, aspects, labels),
        history=history,
    )
