"""Judging one history again: for reproducers, which run it instead of the whole check."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.checks import lifecycle, lost_diagnostics, resources
from rpw_fixture.hermeticity.checks.instability import Instability
from rpw_fixture.hermeticity.findings import diff
from rpw_fixture.hermeticity.findings.history_file import History
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    EXIT_CODE,
    RESPONSE,
    Bulk,
    Cancel,
    Interruption,
    Outcome,
    Result,
    RunMode,
    Sample,
    Step,
    Trial,
    UnavailableError,
    differing,
)

#: How often an action is run on fresh workers, to know what differs by itself.
_COLD_RUNS = 3
#: Number of the run of a history, so that it is not taken from memory.
_AGAIN = 5
#: What depends on the moment is tried so often.
_ATTEMPTS = 5
_TIMED = frozenset(("RPW110", "RPW111", "RPW213"))
#: What does not change the answer of a good worker, by the names of a step's attributes.
_HARMLESS = ("delivery", "in_place", "is_extended", "listing", "pause", "planted", "request_id")
#: What may change the text of the answer, and one failure into another, but nothing else.
_NOTICED = ("bulk", "verbosity")
_PLAIN = Step(action=SuiteAction(name="", arguments=()))
_SHOWN_STDERR = 1000
#: Seconds that a worker may take to end.
_EOF_PATIENCE = 5.0


def find_wrong(harness: Harness, history: History) -> str:
    """Return what is wrong when a history is run; "" if nothing is, or if that cannot show it.

    Raises:
        OutOfTimeError, ConfigError: as `Harness.run`.
    """
    if not history.steps or (history.mode is RunMode.WORKER and not _is_answerable(history)):
        return ""
    if history.code in _GROWTH:
        return _growth(harness, history)
    if history.code == "RPW201":
        return _nondeterminism(harness, _cold_runs(harness, history.steps[-1]))
    try:
        if history.code == "RPW218":
            return _lost_text(harness, history)
        attempts = _ATTEMPTS if _depends_on_the_moment(history) else 1
        texts = (_judged(harness, history, _AGAIN + run) for run in range(attempts))
        return next(filter(None, texts), "")
    except UnavailableError:
        return ""


def _is_answerable(history: History) -> bool:
    """Return whether a good worker answers all requests as it answers the plain ones, or cancels them."""
    is_cancelling = any(each.cancel is not Cancel.NEVER for each in history.steps)
    return is_cancelling or all(map(_is_comparable, history.steps))


def _depends_on_the_moment(history: History) -> bool:
    return history.code in {*_TIMED, "RPW216"} or any(
        each.interruption is not Interruption.NEVER
        or any(step.cancel is not Cancel.NEVER for step in each.history)
        for each in history.predecessors
    )


def _trial(history: History, run: int) -> Trial:
    is_ended = history.code in _AFTER or bool(history.predecessors)
    return Trial(
        history=history.steps,
        variation=history.variation,
        mode=history.mode,
        started_with=history.started_with,
        run=run,
        lingers=history.code == "RPW216",
        eof_patience=_EOF_PATIENCE if is_ended else Trial(history=()).eof_patience,
        predecessors=history.predecessors,
    )


def _judged(harness: Harness, history: History, run: int) -> str:
    result = harness.run(_trial(history, run))
    if history.code in _SEEN_IN and history.variation == BASE:
        return _SEEN_IN[history.code](result)
    judged = list(enumerate(result.outcomes, start=1))
    if history.code not in _TIMED and history.mode is RunMode.WORKER:
        judged = judged[-1:]  # the earlier requests have only led to it
    return next(filter(None, (_wrong(harness, history, *each) for each in judged)), "")


def _wrong(harness: Harness, history: History, place: int, outcome: Outcome) -> str:
    """Return what is wrong with one outcome."""
    if outcome.failure:
        return f"request {place} of {len(history.steps)}: {_failure(outcome)}"
    if outcome.step.cancel is not Cancel.NEVER:
        return outcome.late
    if history.code == "RPW108":
        return "" if outcome.is_as_expected else f"it ends with exit code {outcome.exit_code}"
    colds = _cold_runs(harness, outcome.step)
    if history.predecessors and len(history.steps) > 1:
        # What differs from the same requests in a fresh place is no state of this worker.
        colds[0] = harness.run(Trial(history=history.steps)).outcomes[-1]
    return _difference(harness, colds, outcome, history.mode)


# --- what stands in the result itself ---


def _named(*attributes: str) -> Callable[[Result], str]:
    """Return a function that lists what stands in these attributes of a result's outcomes."""

    def listed(result: Result) -> Iterator[str]:
        for name in attributes:
            found = [each for outcome in result.outcomes for each in getattr(outcome, name)]
            if found:
                yield f"{name.replace('_', ' ')}: {', '.join(dict.fromkeys(map(str, found)))}"

    return lambda result: "; ".join(listed(result))


def _left_processes(result: Result) -> str:
    stay = lifecycle.lasting(result.outcomes)
    text = f"processes that stay: {', '.join(stay)}" if stay else ""
    return text or ("processes outlive the worker" if result.ending.leftovers else "")


def _still_running(result: Result) -> str:
    if result.ending.is_by_itself or result.outcomes[-1].failure:
        return ""
    return f"the worker still runs {_EOF_PATIENCE:g} seconds after its stdin was closed"


def _unterminated(result: Result) -> str:
    return "a JSON response ends without a newline" if result.ending.unterminated else ""


#: Codes whose bugs stand in the result itself, and what finds them there.
_SEEN_IN: dict[str, Callable[[Result], str]] = {
    "RPW106": _still_running,
    "RPW112": _left_processes,
    "RPW114": _named("ignored"),
    "RPW115": _unterminated,
    "RPW206": _named("changed_inputs"),
    "RPW208": _named("strays"),
    "RPW216": _named("rewritten", "read_late", "still_open"),
}
#: Codes of what grows, and what that is.
_GROWTH = {limit.code: name for name, limit in resources.LIMITS.items()}
#: This many times the history of a finding shows whether growth ends.
_LONGER = 4
#: Codes for which the end of the worker matters.
_AFTER = frozenset(("RPW106", "RPW112"))


def _lost_text(harness: Harness, history: History) -> str:
    """Return the lines that the tool prints each time without a worker, but the worker does not."""
    step = history.steps[-1]
    answer = harness.run(_trial(history, _AGAIN)).outcomes[-1]
    first, later = harness.run(Trial(history=(step, step))).outcomes
    if failed := [each for each in (answer, later) if each.failure]:
        return _failure(failed[0])
    left_out = lost_diagnostics.start_up_lines(first, later)
    for run in range(_COLD_RUNS):
        plain = harness.run(Trial(history=(step,), mode=RunMode.ONE_SHOT, run=run)).outcomes[0]
        lost = [each for each in lost_diagnostics.lost_lines(plain, answer) if each not in left_out]
        if not lost:
            return ""
    return f"a one-shot run prints what the worker's response lacks: {'; '.join(lost)}"


# --- growth ---


def _growth(harness: Harness, history: History) -> str:
    """Return what grows with every request, in a longer run as well; "" if the history is too short."""
    name = _GROWTH[history.code]
    samples = _samples(harness, history.steps)
    limit = resources.limits(samples).get(name) if samples else None
    values = resources.values(samples, name)
    if limit is None or len(values) < resources.WARM_UP or not resources.is_growing(values, limit):
        return ""
    # A cache that is emptied from time to time, or that is full at last, does not grow for so long.
    samples = _samples(harness, history.steps * _LONGER)
    if len(samples) > len(values) and not resources.is_lasting(samples, name, limit):
        return ""
    return f"{name}: from {values[0]:.0f} to {values[-1]:.0f} over {len(values)} requests"


def _samples(harness: Harness, steps: tuple[Step, ...]) -> list[Sample]:
    outcomes = harness.run(Trial(history=steps, is_measured=True, run=_AGAIN)).outcomes
    return [each.sample for each in outcomes[resources.WARM_UP :] if each.sample is not None]


# --- comparing with fresh workers ---


def _is_comparable(step: Step) -> bool:
    """Return whether a good worker answers a step as it answers its plain action."""
    harmless = {name: getattr(_PLAIN, name) for name in (*_HARMLESS, *_NOTICED)}
    return replace(step, **harmless) == Step(action=step.action)


def _cold_runs(harness: Harness, step: Step) -> list[Outcome]:
    return [harness.run(cold(step.action, run=run)).outcomes[0] for run in range(_COLD_RUNS)]


def _nondeterminism(harness: Harness, colds: Sequence[Outcome]) -> str:
    for other in colds[1:]:
        if aspects := differing(colds[0], other):
            labels = ("fresh worker", "another fresh worker")
            return diff.explain(colds[0], other, aspects, harness.store, labels)
    return ""


def _failure(outcome: Outcome) -> str:
    text = f"{outcome.failure}: {outcome.detail}"
    stderr = outcome.stderr.strip()[-_SHOWN_STDERR:]
    return f"{text}\nworker's stderr: {stderr}" if stderr else text


def _difference(harness: Harness, colds: Sequence[Outcome], warm: Outcome, mode: RunMode) -> str:
    plain = colds[0]
    is_large = warm.step.bulk is not Bulk.NONE
    is_noted = is_large or bool(warm.step.verbosity)
    if is_large:
        # An option that the tool does not know may be refused, but a small one just like a large one.
        small = Bulk.FEW_INPUTS if warm.step.bulk is Bulk.MANY_INPUTS else Bulk.SHORT_OPTION
        history = (replace(warm.step, bulk=small),)
        plain = harness.run(Trial(history=history)).outcomes[0]
    instability = Instability(harness.store)
    instability.add(warm.step.action, colds, time.time())
    aspects = instability.differing(plain, warm)
    if is_noted or mode is RunMode.ONE_SHOT:
        aspects = [each for each in aspects if each != RESPONSE]
    if is_large and warm.exit_code and plain.exit_code:
        aspects = [each for each in aspects if each != EXIT_CODE]
    if not aspects:
        return ""
    return diff.explain(plain, warm, aspects, harness.store, ("fresh worker", "this history"))
