"""RPW101–105, RPW202 and RPW301–304 over a thousand equal requests and four hundred different ones.

Only where a request takes milliseconds. What grows with equal requests is known by then; here it grows
slowly, or with each new content: a cache that is never emptied. Four hundred requests of all actions in
turn show what goes wrong at certain requests of certain actions.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from dataclasses import replace

from rpw_fixture.client.inputs import File
from rpw_fixture.hermeticity.checks import one_worker, resources
from rpw_fixture.hermeticity.checks.blame import blame, code_of_rule, suspicions
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import GROWING, LATER_LEFT_PROCESSES, LEFT_PROCESSES
from rpw_fixture.hermeticity.checks.stale_inputs import stale_finding
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, Step, Trial, steps

_EQUAL, _DIFFERENT, _MIXED = 1000, 400, 400
#: Requests may become slower and slower: a worker gets no more of them after this time, seconds.
_MOST_SECONDS = 6 * resources.LONGER_SECONDS
#: With more inputs than this, laying out hundreds of variants would take long.
_MOST_INPUTS = 200
#: What a good cache may keep for each content: it is a warning that this has no limit.
_KEPT = frozenset(("RPW301", "RPW304"))


def find(context: CheckContext) -> Iterator[Finding]:
    """Send one request a thousand times, and requests with always new contents."""
    is_crowded = context.facts.read(LEFT_PROCESSES) or context.facts.read(LATER_LEFT_PROCESSES)
    growing = context.facts.read(GROWING)
    action = one_worker.subject(context)
    if is_crowded or context.is_remote or not _is_wanted(context):
        return
    trials = []
    if not growing and resources.longest(context, action, _EQUAL) == _EQUAL:
        trials.append(_measured([action] * _EQUAL))
    contents = list(_with_new_contents(action))
    if contents and resources.longest(context, action, _DIFFERENT) == _DIFFERENT:
        trials.append(_measured([*contents, action]))
    mixed = _mixed(context)
    # What turns bad at a certain request does so in each run, so the mixed requests have a worker alone.
    results = context.run_all([*trials, *mixed])
    context.notes.setdefault("RPW103", f"longest runs: {_lengths(trials, results)}")
    for trial, result in zip(trials, results, strict=False):
        yield from _wrong_answer(context, trial, result.outcomes)
        yield from _growth(trial, result.outcomes, growing)
    outcomes = [each.outcomes for each in results[len(trials) :]]
    yield from blame(context, suspicions(context, outcomes))


def _mixed(context: CheckContext) -> list[Trial]:
    """Return a trial of all actions, equally often and in no order; none if they take too long."""
    action, rounds = one_worker.subject(context), -(-_MIXED // len(context.usable))
    if len(context.usable) < 2 or resources.longest(context, action, _MIXED) < _MIXED:
        return []
    source = random.Random(context.seed)  # noqa: S311 - for variety, not for secrets
    orders = (source.sample(context.usable, k=len(context.usable)) for _ in range(rounds))
    history = steps(*itertools.chain.from_iterable(orders))
    return [Trial(history=history, max_seconds=_MOST_SECONDS)]


def _is_wanted(context: CheckContext) -> bool:
    """Return whether to send that many requests: not if nothing that takes long is asked for."""
    is_patient = bool({"RPW103", "RPW202"} & context.selected) and context.pause > 0
    return is_patient or any(each.code in context.selected for each in resources.LIMITS.values())


def _measured(actions: Sequence[SuiteAction]) -> Trial:
    return Trial(history=steps(*actions), is_measured=True, max_seconds=_MOST_SECONDS)


def _lengths(trials: Sequence[Trial], results: Sequence[Result]) -> str:
    counts = [
        f"{len(result.outcomes)} (they became slow)"
        if trial.is_cut_short(result.outcomes)
        else str(len(trial.history))
        for trial, result in zip(trials, results, strict=False)
    ]
    return f"{' and '.join(counts)} requests" if counts else "100 requests, because they are slow"


def _with_new_contents(action: SuiteAction) -> Iterator[SuiteAction]:
    """Yield variants of an action in which one input has more and more empty lines at its end."""
    if len(action.inputs) > _MOST_INPUTS:
        return
    files = {path: each for path, each in action.inputs.items() if isinstance(each, File)}
    named = [path for path in files if any(path in each for each in action.arguments)]
    for path in (named or list(files))[:1]:
        for count in range(1, _DIFFERENT):
            yield action.with_content(path, files[path].content + b"\n" * count)


def _wrong_answer(
    context: CheckContext, trial: Trial, outcomes: Sequence[Outcome]
) -> Iterator[Finding]:
    """Yield a finding for the first answer that is wrong, if it is wrong in a second run as well."""
    place = _first_wrong(context, outcomes)
    if place is None or context.is_reported(outcomes[place].step.action, outcomes[place].failure):
        return
    again = context.run(replace(trial, run=1, max_seconds=None)).outcomes
    place = _first_wrong(context, again)
    if not place:
        return
    warm, name = again[place], trial.history[0].action.name
    kinds = "equal" if trial.history[0] == trial.history[1] else "different"
    cold = context.run(Trial(history=(warm.step,))).outcomes[0]
    # The runs took seconds: what a clock shows by now is no state.
    context.learn([warm.step.action])
    aspects = context.differing(cold, warm)
    if not warm.failure and not aspects:
        return
    context.note_reported(warm.step.action, warm.failure)
    if stale := _old_content(context, trial.history[place - 1], warm):
        yield stale
        return
    yield Finding(
        code=code_of_rule(warm.failure) if warm.failure else "RPW202",
        victim=name,
        polluters=(name,),
        outputs=outputs_among(aspects),
        summary=f"after {place} {kinds} requests, {warm.step.action.title} "
        + (f"fails: {warm.failure}" if warm.failure else "gives a different result"),
        evidence=context.explain(cold, warm, aspects, ("fresh worker", "after them")),
        history=trial.history[: place + 1],
    )


def _old_content(context: CheckContext, earlier: Step, warm: Outcome) -> Finding | None:
    """Return a finding if one earlier content is enough: the result is its result."""
    if not earlier.action.variant or warm.failure:
        return None
    name = warm.step.action.name
    summary = f"after {earlier.action.title}, {name} gives the result of the old content"
    finding = stale_finding(context, (earlier, warm.step), summary)
    if finding is None or "RPW203" in context.selected:
        return finding
    return replace(finding, code="RPW202")


def _first_wrong(context: CheckContext, outcomes: Sequence[Outcome]) -> int | None:
    """Return the place of the first failure, or of the first answer to a plain request that differs."""
    for place, each in enumerate(outcomes):
        is_plain = not each.step.action.variant
        if each.failure or (is_plain and context.differing(context.cold(each.step.action), each)):
            return place
    return None


def _growth(
    trial: Trial, outcomes: Sequence[Outcome], growing: frozenset[str]
) -> Iterator[Finding]:
    samples = [each.sample for each in outcomes[resources.WARM_UP :] if each.sample is not None]
    # Of a run that was cut short it is unknown whether a limit would have been reached.
    if len(samples) < _DIFFERENT // 2 or trial.is_cut_short(outcomes):
        return
    is_equal = trial.history[0] == trial.history[1]
    for name, limit in resources.limits(samples).items():
        if limit.code in growing or not resources.is_lasting(samples, name, limit):
            continue
        first, last = getattr(samples[0], name), getattr(samples[-1], name)
        amount = (last - first) / len(samples) / (1024 if name == "memory" else 1)
        is_mild = not is_equal and limit.code in _KEPT
        action = trial.history[0].action
        yield Finding(
            code=limit.code,
            severity=Severity.WARNING if is_mild else Severity.ERROR,
            victim=action.name,
            summary=f"every {'identical' if is_equal else 'new'} request adds {amount:.2f} {limit.unit}",
            evidence=f"from {first} to {last}{' bytes' * (name == 'memory')} over {len(samples)} requests"
            + ("" if is_equal else f", each with another content ({action.title})"),
            history=trial.history[:2],
        )
