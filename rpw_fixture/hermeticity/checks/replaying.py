"""Judging one history again: for reproducers, which run it instead of the whole check."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.checks.instability import Instability
from rpw_fixture.hermeticity.findings import diff
from rpw_fixture.hermeticity.findings.history_file import History
from rpw_fixture.hermeticity.suites.suite import SuiteAction
from rpw_fixture.hermeticity.trials.harness import Harness, cold
from rpw_fixture.hermeticity.trials.trial import (
    Outcome,
    Step,
    Trial,
    UnavailableError,
    differing,
)

#: Codes whose bugs stand in the outcome itself, and where.
_SEEN_IN = {
    "RPW112": "children",
    "RPW206": "changed_inputs",
    "RPW208": "strays",
    "RPW216": "rewritten",
}
#: How often an action is run on fresh workers, to know what differs by itself.
_COLD_RUNS = 3
#: Number of the run of a history, so that it is not taken from memory.
_AGAIN = 5
#: What does not change the answer of a good worker, by the names of a step's attributes.
_HARMLESS = ("delivery", "is_extended", "listing", "pause", "planted", "request_id")
_PLAIN = Step(action=SuiteAction(name="", arguments=()))
_SHOWN_STDERR = 1000


def find_wrong(harness: Harness, history: History) -> str:
    """Return what is wrong when a history is run; "" if nothing is, or if one run cannot show it.

    Raises:
        OutOfTimeError, ConfigError: as `Harness.run`.
    """
    if not history.steps or not all(map(_is_comparable, history.steps)):
        return ""
    colds = _cold_runs(harness, history)
    if history.code == "RPW201":
        return _nondeterminism(harness, colds)
    try:
        trial = Trial(history=history.steps, variation=history.variation, run=_AGAIN)
        outcomes = harness.run(trial).outcomes
    except UnavailableError:
        return ""
    if history.code in _SEEN_IN:
        return _traces(history.code, outcomes)
    warm = outcomes[-1]
    if warm.failure:
        return f"request {len(outcomes)} of {len(history.steps)}: {_failure(warm)}"
    return _difference(harness, colds, warm)


def _is_comparable(step: Step) -> bool:
    """Return whether a good worker answers a step as it answers its plain action."""
    plain = replace(step, **{name: getattr(_PLAIN, name) for name in _HARMLESS})
    return plain == Step(action=step.action)


def _cold_runs(harness: Harness, history: History) -> list[Outcome]:
    action = history.steps[-1].action
    return [harness.run(cold(action, run=run)).outcomes[0] for run in range(_COLD_RUNS)]


def _nondeterminism(harness: Harness, colds: Sequence[Outcome]) -> str:
    for other in colds[1:]:
        if aspects := differing(colds[0], other):
            labels = ("fresh worker", "another fresh worker")
            return diff.explain(colds[0], other, aspects, harness.store, labels)
    return ""


def _traces(code: str, outcomes: Sequence[Outcome]) -> str:
    found = [each for outcome in outcomes for each in getattr(outcome, _SEEN_IN[code])]
    return f"{_SEEN_IN[code].replace('_', ' ')}: {', '.join(dict.fromkeys(found))}" if found else ""


def _failure(outcome: Outcome) -> str:
    text = f"{outcome.failure}: {outcome.detail}"
    stderr = outcome.stderr.strip()[-_SHOWN_STDERR:]
    return f"{text}\nworker's stderr: {stderr}" if stderr else text


def _difference(harness: Harness, colds: Sequence[Outcome], warm: Outcome) -> str:
    instability = Instability(harness.store)
    instability.add(warm.step.action, colds, time.time())
    aspects = instability.differing(colds[0], warm)
    if not aspects:
        return ""
    return diff.explain(colds[0], warm, aspects, harness.store, ("fresh worker", "this history"))
