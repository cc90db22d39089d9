"""Trials that run before their results are asked for, beside those that are."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor

from rpw_fixture.hermeticity.trials.trial import Result, Trial

#: Trials that wait more than they work, side by side.
ASIDE = 2


class BegunTrials:
    """Trials that were begun, until their results are taken. Begin them from one thread only.

    Args:
        run: runs a trial as if it were asked for.
        run_aside: runs a trial that waits more than it works, in a folder apart.
        jobs: number of trials that run at once; one of them is always left for what is asked for.
    """

    def __init__(
        self, run: Callable[[Trial], Result], run_aside: Callable[[Trial], Result], jobs: int
    ) -> None:
        self._run = run
        self._run_aside = run_aside
        self._ahead = ThreadPoolExecutor(max(1, jobs - 1), thread_name_prefix="rpw-check-ahead")
        self._aside = ThreadPoolExecutor(ASIDE, thread_name_prefix="rpw-check-aside")
        self._futures: dict[Trial, Future[Result]] = {}
        self._soon: list[Future[Result]] = []

    def close(self) -> None:
        """Begin no more, and wait for those that run."""
        self._ahead.shutdown(cancel_futures=True)
        self._aside.shutdown(cancel_futures=True)

    def begin_aside(self, trial: Trial) -> None:
        """Begin a trial that waits more than it works."""
        if trial not in self._futures:
            self._futures[trial] = self._aside.submit(self._run_aside, trial)

    def begin_ahead(self, trials: Iterable[Trial]) -> None:
        """Begin trials one after the other, until a worker fails in one: then few are asked for."""
        for each in trials:
            if each not in self._futures:
                self._futures[each] = self._ahead.submit(self._run_ahead, each)
                self._soon.append(self._futures[each])

    def find(self, trial: Trial) -> Result | None:
        """Wait for the result of a trial; None if it was not begun, which it is not any more.

        Raises:
            OutOfTimeError, ConfigError, UnavailableError: the trial raised it.
        """
        future = self._futures.get(trial)
        return None if future is None or future.cancel() or future.cancelled() else future.result()

    def _run_ahead(self, trial: Trial) -> Result:
        result = self._run(trial)
        if any(each.failure for each in result.outcomes):
            for each in self._soon:
                each.cancel()
        return result
