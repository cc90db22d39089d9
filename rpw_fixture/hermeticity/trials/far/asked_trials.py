"""The trials that a cluster was asked for: each once, and all at the same time."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial

from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials.far.runner import ExecutorRunner
from rpw_fixture.hermeticity.trials.trial import Result, Trial, UnavailableError, Variation
from rpw_fixture.hermeticity.trials.trial_book import TrialBook


class AskedTrials:
    """The trials of one suite that run on a cluster's machines. Thread-safe.

    Args:
        book: the record of all trials.
        runner: asks the cluster; the caller closes it.
        jobs: most trials that the cluster has at once.
    """

    def __init__(self, book: TrialBook, runner: ExecutorRunner, *, jobs: int) -> None:
        self.jobs = jobs
        self._book = book
        self._runner = runner
        self._lock = threading.Lock()
        self._asked: dict[Trial, Future[Result]] = {}

    @property
    def search_path(self) -> str:
        """PATH on the machines."""
        return self._runner.search_path

    def run(self, trial: Trial) -> Result:
        """Return what is known of a trial, else have the cluster run it, once.

        Raises:
            OutOfTimeError, ConfigError, UnavailableError: as `Harness.run`.
        """
        return self._book.known(trial) or self._ask(trial).result()

    def run_all(self, trials: Sequence[Trial]) -> None:
        """Have the cluster run trials that are not known, all at once. Raises what `run` raises."""
        self._wait_for([each for each in trials if self._book.known(each) is None])

    def run_afresh(self, trials: Sequence[Trial]) -> None:
        """Have the cluster run trials again, even if it remembers them. Raises what `run` raises."""
        with self._lock:
            for each in trials:
                self._asked.pop(each, None)
        self._wait_for(trials, is_fresh=True)

    def run_with(self, worker: SuiteWorker, trial: Trial) -> Result:
        """Return the result of a trial of another worker. Raises what `run` raises."""
        return self._runner.begin(trial, worker=worker).result()

    def begin(self, trial: Trial) -> None:
        """Have the cluster run a trial, without waiting."""
        self._ask(trial)

    def begin_ahead(self, trials: Iterable[Trial]) -> None:
        """Have the cluster run trials, without waiting."""
        for each in trials:
            self._ask(each)

    def effects(self, variation: Variation) -> Mapping[str, object]:
        """Return what each factor looks like to a probe process on some machine.

        Raises:
            UnavailableError: the machine does not support the variation, or none answers.
        """
        return self._runner.effects(variation)

    def check_layouts(self, actions: Sequence[SuiteAction]) -> None:
        """Lay out the inputs of actions without running them.

        Raises:
            ConfigError: the inputs of an action contradict each other.
        """
        self._runner.check_layouts(actions)

    def use_one_path(self) -> None:
        """Have later trials run in the same folder on each machine, and forget the earlier ones."""
        self._runner.is_one_path = True
        with self._lock:
            self._asked.clear()

    def use_all_paths(self) -> None:
        """Have later trials run in any folder again."""
        self._runner.is_one_path = False

    def trust_no_memory(self) -> None:
        """Take no result from the cluster's action cache from now on."""
        self._runner.is_fresh = True

    def _ask(self, trial: Trial, *, is_fresh: bool = False) -> Future[Result]:
        with self._lock:
            found = self._asked.get(trial)
            if found is None or found.cancelled():
                found = self._asked[trial] = self._runner.begin(
                    self._book.to_run(trial),
                    before=self._book.require_time,
                    done=partial(self._book.keep, trial),
                    is_fresh=is_fresh,
                )
            return found

    def _wait_for(self, trials: Sequence[Trial], *, is_fresh: bool = False) -> None:
        asked = [self._ask(each, is_fresh=is_fresh) for each in trials]
        try:
            for each in asked:
                each.result()
        except UnavailableError:
            raise  # the others may be of use
        except KeyboardInterrupt:
            self._runner.cancel()
            raise
        except BaseException:
            for each in asked:
                each.cancel()
            raise
