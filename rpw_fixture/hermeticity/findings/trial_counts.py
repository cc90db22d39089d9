"""The number of trials that a report rests on, and of those that were run for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from rpw_fixture.support.plurals import counted


class TrialCounts(NamedTuple):
    """Numbers of trials.

    Attributes:
        all: number of different trials.
        run: number of those that were run; the results of the others were remembered.
        memory: the folder in which results are remembered, or the endpoint that does; "" for none.
        problem: why results could not be remembered; "" if they could.
    """

    all: int = 0
    run: int = 0
    memory: str = ""
    problem: str = ""

    @classmethod
    def summed(cls, counts: Iterable[TrialCounts]) -> TrialCounts:
        """Return the counts of several reports together."""
        known = list(counts)
        return cls(
            all=sum(each.all for each in known),
            run=sum(each.run for each in known),
            memory=next((each.memory for each in known if each.memory), ""),
            problem=next((each.problem for each in known if each.problem), ""),
        )

    def in_words(self) -> str:
        """Return what was remembered, as a sentence; empty if nothing can be."""
        if self.problem:
            return f"results of trials are not remembered: {self.problem}"
        if not self.memory:
            return ""
        rest = "" if self.run == self.all else "; the results of the others are remembered"
        where = f"action cache of {self.memory}" if self._is_far else f"--cache {self.memory}"
        return f"{self.run} of {counted(self.all, 'trial')} run{rest} ({where})"

    @property
    def _is_far(self) -> bool:
        return "://" in self.memory or self.memory.startswith("unix:")


#: Those of a report that rests on no trial.
NO_TRIALS = TrialCounts()
