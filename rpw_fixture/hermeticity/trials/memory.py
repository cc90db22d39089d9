"""What was seen already: results of trials, by trial, and what they say about other trials.

A prefix of a history has the same first outcomes, so it need not be run. A trial in which more was
observed answers for the same one in which less was. The first answer of each worker is that of a fresh one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    Ending,
    Outcome,
    Result,
    Step,
    Trial,
    Variation,
)


class FirstAnswer(NamedTuple):
    """The outcome of the first request to a worker, and when its trial began, seconds since the epoch."""

    began: float
    outcome: Outcome


@dataclass(slots=True)
class _Node:
    """A history that some trial began with.

    Attributes:
        source: the result of the first such trial.
        longer: the histories with one more request.
    """

    source: Result | None = None
    longer: dict[Step, _Node] = field(default_factory=dict)


class TrialMemory:
    """The results of the trials that were run. Not thread-safe."""

    def __init__(self) -> None:
        self._results: dict[Trial, Result] = {}
        self._begun: dict[tuple[Variation, int], _Node] = {}
        self._first: dict[Step, list[FirstAnswer]] = {}

    def forget(self) -> None:
        """Forget everything."""
        self._results.clear()
        self._begun.clear()
        self._first.clear()

    def find(self, trial: Trial) -> Result | None:
        """Return the result of a trial if it is known from an equal one, or from one that shows more."""
        found = self._results.get(trial)
        if found is None and _is_plain(trial):
            found = self._from_longer(trial)
        return found

    def first_answers(self, step: Step) -> Sequence[FirstAnswer]:
        """Return the outcomes of a request that was the first one to its worker, in usual surroundings."""
        return tuple(self._first.get(step, ()))

    def forget_result(self, trial: Trial) -> None:
        """Forget the result of a trial; what its beginning says about others stays."""
        self._results.pop(trial, None)

    def keep(self, trial: Trial, result: Result) -> None:
        """Remember the result of a trial."""
        self._results[trial] = result
        if not _is_plain(_plainly(trial)):
            return
        if result.outcomes and trial.variation == BASE:
            first = FirstAnswer(result.began, result.outcomes[0])
            self._first.setdefault(trial.history[0], []).append(first)
        node = self._begun.setdefault((trial.variation, trial.run), _Node())
        for step in trial.history[: len(result.outcomes)]:
            node = node.longer.setdefault(step, _Node())
            node.source = node.source or result

    def _from_longer(self, trial: Trial) -> Result | None:
        node = self._begun.get((trial.variation, trial.run))
        for step in trial.history:
            node = node.longer.get(step) if node is not None else None
        if node is None or node.source is None:
            return None
        count = len(trial.history)
        if node.source.trace and count < len(node.source.outcomes):
            return None  # the record shows more than these requests
        if count == len(node.source.outcomes):
            return replace(node.source, trace="")
        return replace(node.source, outcomes=node.source.outcomes[:count], ending=Ending())


def _plainly(trial: Trial) -> Trial:
    """Return the trial without what is observed in addition, which changes no outcome."""
    usual = Trial(history=()).eof_patience
    return replace(trial, is_measured=False, is_watched=False, lingers=False, eof_patience=usual)


def _is_plain(trial: Trial) -> bool:
    """Return whether only variation, history and number of the run distinguish the trial."""
    return trial == Trial(history=trial.history, variation=trial.variation, run=trial.run)
