"""RPW203 for other changes than a new content of the same size.

An input was missing and is there again, an earlier folder got a file of the same name, or two contents
have digests with the same beginning. The requests are asked together with those of RPW204.
"""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.hermeticity.checks import look_alikes, stale_inputs, warm_questions
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import START_UP_INPUTS
from rpw_fixture.hermeticity.checks.warm_screening import Answers, Pair, Screening, has_noticed
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Step, Trial, steps


def find(context: CheckContext) -> Iterator[Finding]:
    """Judge the answers to plain actions after their inputs were missing, and to look-alikes."""
    screening = warm_questions.ask(context)
    for (_, path), pair in stale_inputs.phantom_pairs(context).items():
        again = screening.more.get(Step(action=pair.plain))
        if (
            again is not None
            and not context.is_remote
            and context.differing(context.cold(pair.plain), again)
        ):
            yield from _missing_once(context, path, pair)
    if context.is_remote:
        return
    yield from _equal_prefixes(context, screening)
    yield from _shadowed(context, screening)


def _missing_once(context: CheckContext, path: str, pair: Pair) -> Iterator[Finding]:
    # The worker starts with the input: what it reads then is RPW401.
    for actions in ((pair.plain, pair.changed, pair.plain), (pair.changed, pair.plain)):
        history = steps(*actions)
        cold = context.cold(pair.plain)
        started_with = None if actions[0] == pair.plain else pair.plain
        for run in (0, 1):
            trial = Trial(history=history, run=run, started_with=started_with)
            outcomes = context.run(trial).outcomes
            aspects = context.differing(cold, outcomes[-1])
            if len(outcomes) < len(history) or outcomes[-1].failure or not aspects:
                break
        else:
            if _is_leak(context, pair.plain):
                return
            yield Finding(
                code="RPW203",
                victim=pair.plain.name,
                polluters=tuple(each.name for each in actions[:-1]),
                outputs=outputs_among(aspects),
                summary=f"{path} was missing once and is there again, but {pair.plain.name} does not "
                "give its usual result",
                evidence=context.explain(
                    cold, outcomes[-1], aspects, ("fresh worker", "after a run without the input")
                ),
                history=history,
            )
            return


def _is_leak(context: CheckContext, action: SuiteAction) -> bool:
    """Return whether any request that fails, or an equal one, changes the result: RPW109, RPW202."""
    repeated = context.run(Trial(history=steps(action, action, action))).outcomes
    return (
        len(repeated) < 3
        or any(context.differing(repeated[0], each) for each in repeated)
        or any(context.poisons(each, action) for each in context.unrelated_failures(action))
    )


def _equal_prefixes(context: CheckContext, screening: Screening) -> Iterator[Finding]:
    pair = look_alikes.equal_prefixes(context)
    answers = [screening.more.get(each) for each in steps(*pair or ())]
    read_at_start = context.facts.read(START_UP_INPUTS)
    if pair is None or None in answers or _changed(pair) & read_at_start:
        return
    one, other = (each for each in answers if each is not None)
    if one.failure or other.failure or has_noticed(context, Answers(one, other)):
        return
    if context.differing(context.cold(pair.changed), other):
        found = stale_inputs.stale_finding(
            context,
            steps(*pair),
            f"{pair.plain.name} gives the result of another content of its input, whose digest begins "
            "with the same 8 digits",
        )
        yield from [found] if found is not None else []


def _changed(pair: Pair) -> set[str]:
    """Return the paths of the inputs that differ."""
    one, other = pair.plain.inputs, pair.changed.inputs
    return {path for path in one if one[path] != other.get(path)}


def _shadowed(context: CheckContext, screening: Screening) -> Iterator[Finding]:
    pairs = [each for each in look_alikes.shadows(context) if _is_ignored(context, screening, each)]
    asked = steps(*(each.changed for each in pairs))
    fresh = context.run(Trial(history=asked)).outcomes if pairs else ()
    answers = {each.step.action: each for each in fresh}
    for pair in pairs:
        answer = answers.get(pair.changed) or context.cold(pair.changed)
        if not context.differing(context.cold(pair.plain), answer):
            continue  # it does not search the other folders
        added = ", ".join(each for each in pair.changed.inputs if each not in pair.plain.inputs)
        found = stale_inputs.stale_finding(
            context,
            steps(*pair),
            f"with more files that shadow its inputs ({added}), {pair.plain.name} still gives the old "
            "result",
        )
        yield from [found] if found is not None else []


def _is_ignored(context: CheckContext, screening: Screening, pair: Pair) -> bool:
    """Return whether a worker that knows the plain action gives its result, whatever shadows its inputs."""
    answer = screening.more.get(Step(action=pair.changed))
    if answer is None or answer.failure:
        return False
    return not context.differing(context.cold(pair.plain), answer)
