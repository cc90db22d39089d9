"""What is known of all trials of one suite: results, how many there were, and how much time is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from rpw_fixture.hermeticity.trials.memory import FirstAnswer, TrialMemory
from rpw_fixture.hermeticity.trials.trial import Result, Step, Trial

#: Seconds to wait for late output of a worker that does not end by itself.
_SHORT_PATIENCE = 0.05


class OutOfTimeError(Exception):
    """The time limit of the whole check is reached."""


class TrialBook:
    """The record of all trials, wherever they run. Thread-safe.

    Args:
        max_seconds: time limit for all trials together, seconds; None for no limit.
        progress: called with the number of worker starts and of requests so far.

    Attributes:
        worker_starts, requests: numbers of those that were run.
        trials, trials_run: number of different trials, and of those that no earlier program had run.
        asked: the trials that were asked for, in that order.
        latest: when the newest result that was asked for was there, seconds since the epoch. Judgements
            go by this time, so that they are the same when all results are remembered.
        ignores_eof: the worker is known not to end by itself, so no trial waits for that.
    """

    def __init__(
        self,
        *,
        max_seconds: float | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        self.worker_starts = 0
        self.requests = 0
        self.trials = 0
        self.trials_run = 0
        self.asked: list[Trial] = []
        self.latest = 0.0
        self.ignores_eof = False
        self._began = time.monotonic()
        self._limit = max_seconds
        self._progress = progress
        self._lock = threading.Lock()
        self._memory = TrialMemory()
        self._results: list[tuple[Trial, Result]] = []

    @property
    def seconds(self) -> float:
        """Seconds since the book was begun."""
        return time.monotonic() - self._began

    @property
    def results(self) -> Sequence[tuple[Trial, Result]]:
        """All trials run so far with their results, in the order in which they ended."""
        with self._lock:
            return tuple(self._results)

    def require_time(self) -> None:
        """Refuse to go on after the time limit.

        Raises:
            OutOfTimeError: the time limit is reached.
        """
        if self._limit is not None and self.seconds >= self._limit:
            raise OutOfTimeError(
                f"the time limit of {self._limit:.3g} s (--max-seconds) was reached"
            )

    def to_run(self, trial: Trial) -> Trial:
        """Return the trial with a short wait at its end if waiting longer is known not to help."""
        is_in_vain = self.ignores_eof and trial.eof_patience <= Trial(history=()).eof_patience
        return replace(trial, eof_patience=_SHORT_PATIENCE) if is_in_vain else trial

    def known(self, trial: Trial) -> Result | None:
        """Return the result of a trial that need not be run; None if it has to be."""
        with self._lock:
            return self._memory.find(trial)

    def first_answers(self, step: Step) -> Sequence[FirstAnswer]:
        """Return the outcomes of a request that was the first one to its worker, in usual surroundings."""
        with self._lock:
            return self._memory.first_answers(step)

    def note_asked(self, trial: Trial, result: Result) -> None:
        """Note that a check has asked for a trial, and has got its result."""
        with self._lock:
            self.asked.append(trial)
            self.latest = max(self.latest, result.ended)

    def count(self, *, starts: int, requests: int) -> None:
        """Count worker starts and requests of a run that is no trial of this suite."""
        with self._lock:
            self.worker_starts += starts
            self.requests += requests

    def keep(self, trial: Trial, result: Result) -> None:
        """Count a trial that has ended, and remember its result."""
        with self._lock:
            self.trials += 1
            if not result.is_remembered:
                self.trials_run += 1
                self.worker_starts += trial.starts
                self.requests += len(result.outcomes) + sum(
                    len(each.outcomes) for each in result.earlier
                )
            self._memory.keep(trial, result)
            self._results.append((trial, result))
            starts, requests = self.worker_starts, self.requests
        if self._progress is not None:
            self._progress(starts, requests)

    def strike_out(self, trials: Iterable[Trial]) -> None:
        """Forget trials as if they had not run, because they will run again."""
        with self._lock:
            struck = frozenset(trials)
            kept = [each for each in self._results if each[0] not in struck]
            self.trials -= len(self._results) - len(kept)
            self._results = kept
            for each in struck:
                self._memory.forget_result(each)

    def trust_nothing(self) -> None:
        """Have all trials run again that are asked for from now on; what they cost stays counted."""
        with self._lock:
            self._memory.forget()
