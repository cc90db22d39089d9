"""RPW401, RPW203 and RPW204: inputs that change or disappear while a worker remembers them.

All inputs have the same modification time in a staged input root, and new content has the old size,
so a cache by path, time and size returns the old content.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from rpw_fixture.client.inputs import Entry, File
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.checks import unread_inputs, warm_questions
from rpw_fixture.hermeticity.checks.context import CheckContext
from rpw_fixture.hermeticity.checks.facts import START_UP_INPUTS
from rpw_fixture.hermeticity.checks.input_changes import variants
from rpw_fixture.hermeticity.checks.warm_questions import ActionInput
from rpw_fixture.hermeticity.checks.warm_screening import Pair, ask, has_noticed
from rpw_fixture.hermeticity.findings.codes import Severity
from rpw_fixture.hermeticity.findings.finding import Finding, outputs_among
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.trial import Listing, Outcome, Step, Trial, steps

_MOST_TRIES = 4
_UNASKED = (
    "no action has an input whose change alters a fresh worker's result, or the worker does not answer "
    "a second request"
)

#: Stands for the action in a way to send one.
_NO_ACTION = SuiteAction(name="any", arguments=())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Case:
    """An action, one of its inputs, and a variant of the action in which that input is different."""

    action: SuiteAction
    path: str
    other: SuiteAction


def find_start_up_reads(context: CheckContext) -> Iterator[Finding]:
    """Replace inputs between a worker's start and its first request (RPW401)."""
    if not any(warm_questions.inputs(context)):
        context.skip("RPW401", _UNASKED)
    suspects = _readers(context)
    seen: set[str] = set()
    for case in _visible(
        context, [each for each in warm_questions.inputs(context) if each[0] in suspects]
    ):
        if case.path in seen:
            continue
        seen.add(case.path)
        trial = Trial(history=steps(case.action), started_with=case.other)
        outcome = context.run(trial).outcomes[0]
        if not context.differing(context.cold(case.action), outcome):
            continue
        cold = _with_own_inputs(context, case.action)
        aspects = context.differing(cold, outcome)
        if not aspects:
            continue
        known = context.facts.read(START_UP_INPUTS)
        context.facts.share(START_UP_INPUTS, known | {case.path})
        yield Finding(
            code="RPW401",
            victim=case.action.name,
            outputs=outputs_among(aspects),
            summary=f"the worker reads {case.path} at start-up, but it is not a tool input",
            evidence="the input was replaced after the start and before the first request:\n"
            + context.explain(cold, outcome, aspects, ("fresh worker", "old input at start-up")),
            history=trial.history,
            trial=trial,
        )


def _with_own_inputs(context: CheckContext, action: SuiteAction) -> Outcome:
    """Return the outcome of an action whose inputs are replaced by themselves after the start.

    Undeclared files are removed then as well, such as Python's bytecode, and a worker that lists its
    folder sees that.
    """
    return context.run(Trial(history=steps(action), started_with=action)).outcomes[0]


def find_stale(context: CheckContext) -> Iterator[Finding]:
    """Send old content, then new content at the same path (RPW203)."""
    inputs = _read_later(context)
    unsettled = {
        listing: set(inputs) - _noticed(context, inputs, listing).keys()
        for listing in _listings(context)
    }
    suspects = [each for each in inputs if any(each in some for some in unsettled.values())]
    is_asked = len(suspects) < len(inputs)
    for case in _visible(context, suspects):
        is_asked = is_asked or _is_answered(context, (case.action, case.other))
        listings = [
            listing for listing, some in unsettled.items() if (case.action, case.path) in some
        ]
        findings = (_stale(context, case, each) for each in _manners(context, listings))
        yield from itertools.islice((each for each in findings if each is not None), 1)
    if not is_asked:
        context.skip("RPW203", _UNASKED)


def find_phantoms(context: CheckContext) -> Iterator[Finding]:
    """Send a request with an input, then one without it (RPW204)."""
    answers = warm_questions.ask(context).answers
    is_asked = False
    for (action, path), pair in phantom_pairs(context).items():
        if pair in answers and answers[pair].changed.exit_code != action.exit_code:
            is_asked = True
            continue  # the worker noticed that the input is gone
        without = pair.changed
        cold = context.cold(without)
        if not cold.failure and cold.exit_code == action.exit_code:
            continue
        outcomes = context.run(Trial(history=steps(action, without))).outcomes
        is_asked = is_asked or _is_answered(context, (action, without))
        warm = outcomes[-1]
        if len(outcomes) < 2 or warm.failure or warm.exit_code != action.exit_code:
            continue
        aspects = context.differing(cold, warm)
        yield Finding(
            code="RPW204",
            victim=action.name,
            polluters=(action.name,),
            outputs=outputs_among(aspects),
            summary=f"without its input {path}, {action.name} still succeeds, though a fresh worker "
            "needs it",
            evidence=context.explain(
                cold, warm, aspects, ("fresh worker", "after a run with the input")
            ),
            history=steps(action, without),
        )
    if not is_asked:
        context.skip(
            "RPW204",
            "no action needs any of its inputs, or the worker does not answer a second request",
        )


def phantom_pairs(context: CheckContext) -> dict[tuple[SuiteAction, str], Pair]:
    """Return actions with and without one of their inputs, by action and path."""
    return {each: warm_questions.without(*each) for each in _read_later(context)}


def _read_later(context: CheckContext) -> list[tuple[SuiteAction, str]]:
    """Return the inputs that the worker does not read at start-up (those have a finding, RPW401)."""
    known = context.facts.read(START_UP_INPUTS)
    return [each for each in warm_questions.inputs(context) if each[1] not in known]


def _readers(context: CheckContext) -> set[SuiteAction]:
    """Return the actions with a different result on workers that started with changed inputs."""
    inputs = list(warm_questions.inputs(context))
    actions = list(dict.fromkeys(action for action, _ in inputs))
    found: set[SuiteAction] = set()
    # A change that a warm worker notices is one that matters; of other inputs, more changes are tried.
    noticed = _noticed(context, inputs, Listing.HEX)
    unclear = [each for each in inputs if each not in noticed and _may_be_opened(context, *each)]
    tries = _MOST_TRIES if unclear else 1
    try:
        starts = [_all_changed(inputs, noticed, number) for number in range(tries) if inputs]
        context.harness.check_layouts(starts)
    except ConfigError:  # inputs of different actions do not fit into one input root
        return set(actions)
    history = steps(*actions)
    trials = [Trial(history=history, started_with=each) for each in dict.fromkeys(starts)]
    for result in context.run_all(trials):
        answered = {each.step.action: each for each in result.outcomes}
        for action in actions:
            warm = answered.get(action)
            if warm is None or context.differing(context.cold(action), warm):
                found.add(action)
    return found


def _may_be_opened(context: CheckContext, action: SuiteAction, path: str) -> bool:
    """Return whether a fresh worker opened an input of an action, or may have, as it was not watched."""
    opened = unread_inputs.opened(context, action)
    return opened is None or path in opened


def _all_changed(
    inputs: Sequence[ActionInput], noticed: Mapping[ActionInput, int], number: int
) -> SuiteAction:
    """Return an action with the inputs of all actions, the given ones changed.

    Args:
        inputs: the inputs to change.
        noticed: numbers of the variants of some inputs that a worker noticed.
        number: number of the variant of the other inputs.
    """
    numbers: dict[str, int] = {}
    for (_, path), each in noticed.items():
        numbers.setdefault(path, each)
    entries: dict[str, Entry] = {}
    for action, _ in inputs:
        entries = {**action.inputs, **entries}
    for _, path in inputs:
        entry = entries[path]
        if isinstance(entry, File) and (others := variants(entry.content)):
            content = others[numbers.get(path, number) % len(others)]
            entries[path] = File(content, entry.is_executable)
    return inputs[0][0].changed(f"inputs changed, {number}", inputs=entries)


def _noticed(
    context: CheckContext, inputs: Sequence[ActionInput], listing: Listing
) -> dict[ActionInput, int]:
    """Return the inputs a change of which a warm worker noticed, with the number of the variant."""
    found: dict[ActionInput, int] = {}
    # Most inputs show their first change.
    for numbers in (range(1), range(1, _MOST_TRIES)):
        pairs = {
            (each, number): pair
            for each in inputs
            if each not in found
            for number, pair in enumerate(warm_questions.changes(*each))
            if number in numbers
        }
        is_listed = listing is Listing.HEX
        if 0 in numbers:
            shared = warm_questions.ask if is_listed else warm_questions.ask_unlisted
            answers = shared(context).answers
        else:
            answers = ask(context, list(pairs.values()), listing, in_place=not is_listed)
        for (each, number), pair in pairs.items():
            if pair in answers and has_noticed(context, answers[pair]):
                found.setdefault(each, number)
    return found


def _manners(context: CheckContext, listings: Sequence[Listing]) -> Iterator[Step]:
    """Yield ways to send new content, as steps without an action; those that servers use come first."""
    for listing in dict.fromkeys((Listing.HEX, *listings)):
        yield Step(action=_NO_ACTION, listing=listing)
        if not context.is_remote:
            yield Step(action=_NO_ACTION, listing=listing, in_place=True)


def _stale(context: CheckContext, case: _Case, manner: Step) -> Finding | None:
    history = tuple(replace(manner, action=each) for each in (case.action, case.other))
    is_usual = manner.listing is Listing.HEX
    conditions = [
        "" if is_usual else " (with a server that lists no inputs, as some do)",
        " (the file was rewritten in place: its inode is the same)" if manner.in_place else "",
    ]
    return stale_finding(
        context,
        history,
        f"{case.path} has new content, but {case.action.name} still gives the old result"
        + "".join(conditions),
        Severity.ERROR if is_usual else Severity.WARNING,
    )


def stale_finding(
    context: CheckContext,
    history: tuple[Step, ...],
    summary: str,
    severity: Severity = Severity.ERROR,
) -> Finding | None:
    """Return a finding if the second of two requests is answered with the result of the first."""
    outcomes = context.run(Trial(history=history)).outcomes
    if len(outcomes) < 2:
        return None
    warm = outcomes[-1]
    cold = context.run(Trial(history=(replace(history[1], in_place=False),))).outcomes[0]
    first = outcomes[0].aspects
    # A wrong result that is not the old one, such as an error from the second request on, is a leak.
    aspects = [
        each for each in context.differing(cold, warm) if warm.aspects.get(each) == first.get(each)
    ]
    if not aspects or warm.failure:
        return None
    return Finding(
        code="RPW203",
        severity=severity,
        victim=history[1].action.name,
        polluters=(history[0].action.name,),
        outputs=outputs_among(aspects),
        summary=summary,
        evidence=context.explain(cold, warm, aspects, ("fresh worker", "after the old content")),
        history=history,
    )


def _is_answered(context: CheckContext, actions: tuple[SuiteAction, ...]) -> bool:
    """Return whether one worker answers all of these actions, one after the other."""
    outcomes = context.run(Trial(history=steps(*actions))).outcomes
    return len(outcomes) == len(actions) and not outcomes[-1].failure


def _listings(context: CheckContext) -> tuple[Listing, ...]:
    # An endpoint decides itself what it lists.
    return (Listing.HEX,) if context.is_remote else (Listing.HEX, Listing.NONE)


def _visible(context: CheckContext, inputs: Iterable[tuple[SuiteAction, str]]) -> Iterator[_Case]:
    """Yield inputs with a change that alters a fresh worker's result."""
    for action, path in inputs:
        cold = context.cold(action)
        if not context.differing(cold, context.cold(action.without_input(path))):
            continue  # an action with the same result without the input does not read it
        for content in variants(warm_questions.content(action, path))[:_MOST_TRIES]:
            other = action.with_content(path, content)
            changed = context.cold(other)
            if not changed.failure and context.differing(cold, changed):
                yield _Case(action=action, path=path, other=other)
                break
