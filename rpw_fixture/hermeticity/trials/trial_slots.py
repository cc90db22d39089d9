"""Trials that run from this machine: in folders, of which each is for one trial at a time."""

from __future__ import annotations

import functools
import itertools
import os
import shutil
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import side_by_side
from rpw_fixture.hermeticity.trials.begun_trials import ASIDE, BegunTrials
from rpw_fixture.hermeticity.trials.remembering import RememberingRunner, Runner
from rpw_fixture.hermeticity.trials.run_folders import RunFolders
from rpw_fixture.hermeticity.trials.trial import Result, Trial, Variation
from rpw_fixture.hermeticity.trials.trial_book import TrialBook


class TrialSlots:
    """The trials of one suite that run from this machine. Thread-safe but for the choice of paths.

    Args:
        book: the record of all trials.
        runner: runs a trial in a folder.
        folder: the folder below which all trials run.
        jobs: number of trials that run at once, besides those that mostly wait.
        stop: makes running trials end soon, when the user interrupts.
        remembering: knows results of earlier programs; None if there are none.
    """

    def __init__(
        self,
        book: TrialBook,
        runner: Runner,
        folder: Path,
        *,
        jobs: int,
        stop: Callable[[], None],
        remembering: RememberingRunner | None = None,
    ) -> None:
        self.remembering = remembering
        self._book = book
        self._runner = runner
        self._folder = folder
        self._stop = stop
        self._serial = itertools.count()
        self._is_one_path = False
        self._folders = RunFolders(folder, jobs)
        self._folders_aside = RunFolders(folder, ASIDE, name="aside")
        self._begun = BegunTrials(self._run_unless_known, self._run_aside, jobs)

    def close(self) -> None:
        """Begin no more trials, and wait for those that run."""
        self._begun.close()

    @property
    def jobs(self) -> int:
        """Number of trials that run at once."""
        return self._folders.count

    @property
    def search_path(self) -> str:
        """PATH of the programs that trials start."""
        return os.environ.get("PATH", os.defpath)

    def run(self, trial: Trial) -> Result:
        """Return what is known of a trial, or wait for it if it was begun, else run it.

        Raises:
            OutOfTimeError, ConfigError, UnavailableError: as `Harness.run`.
        """
        return self._book.known(trial) or self._begun.find(trial) or self._run_in_slot(trial)

    def run_all(self, trials: Sequence[Trial]) -> None:
        """Run trials side by side. Raises what `run` raises."""
        tasks = [functools.partial(self.run, each) for each in trials]
        side_by_side.run(tasks, self.jobs, self._stop)

    def run_afresh(self, trials: Sequence[Trial]) -> None:
        """Run trials again, whatever earlier programs remember of them. Raises what `run` raises."""
        if self.remembering is not None:
            for each in trials:
                self.remembering.ask_afresh(self._book.to_run(each))
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="rpw-check") as pool:
            list(pool.map(self._run_in_slot, trials))

    def run_with(self, worker: SuiteWorker, trial: Trial) -> Result | None:
        """Return the result of a trial of another worker; None if no other one can be run."""
        runner = self._runner.with_worker(worker)
        if runner is None:
            return None
        with self._folders.taken() as folder:
            return runner.run(trial, folder)

    def begin(self, trial: Trial) -> None:
        """Begin a trial that waits more than it works, in a separate folder if the path may differ."""
        if not self._is_one_path:
            self._begun.begin_aside(trial)

    def begin_ahead(self, trials: Iterable[Trial]) -> None:
        """Begin trials that will be asked for, if more than one can run at once."""
        if self.jobs > 1:
            self._begun.begin_ahead(trials)

    def effects(self, variation: Variation) -> Mapping[str, object]:
        """Return what each factor looks like to a probe process; empty if that is unknown.

        Raises:
            UnavailableError: this machine does not support the variation.
        """
        with self._folders.taken() as folder:
            return self._runner.effects(variation, folder)

    def check_layouts(self, actions: Sequence[SuiteAction]) -> None:
        """Lay out the inputs of actions without running them.

        Raises:
            ConfigError: the inputs of an action contradict each other.
        """
        self._runner.check_layouts(tuple(actions))

    def use_one_path(self) -> None:
        """Run all later trials in the same folder, one at a time, and believe no earlier program."""
        self._is_one_path = True
        self._folders.keep_one()
        self.trust_no_memory()

    def use_all_paths(self) -> None:
        """Run later trials side by side again."""
        self._is_one_path = False
        self._folders.use_all()

    def trust_no_memory(self) -> None:
        """Run all later trials, whatever earlier programs remember, and remember none of them."""
        if self.remembering is not None:
            self.remembering.is_trusting = False

    def _run_unless_known(self, trial: Trial) -> Result:
        return self._book.known(trial) or self._run_in_slot(trial)  # a longer one may have shown it

    def _run_in_slot(self, trial: Trial) -> Result:
        self._book.require_time()
        with self._folders.taken() as folder:
            result = self._with_own_trace(self._run_now(trial, folder))
        self._book.keep(trial, result)
        return result

    def _run_aside(self, trial: Trial) -> Result:
        with self._folders_aside.taken() as folder:
            result = self._run_now(trial, folder)
        self._book.keep(trial, result)
        return result

    def _run_now(self, trial: Trial, folder: Path) -> Result:
        asked = self._book.to_run(trial)
        began = time.time()
        result = self._runner.run(asked, folder)
        if result.is_remembered:
            return result
        result = replace(result, began=began, ended=time.time())
        if self.remembering is not None:
            self.remembering.keep(asked, result)
        return result

    def _with_own_trace(self, result: Result) -> Result:
        """Return the result with the record of its tracer where the next trial does not replace it."""
        trace = result.trace
        if not trace or not os.path.isfile(trace) or os.path.islink(trace):
            return result
        kept = self._folder / f"trace-{next(self._serial)}"
        shutil.move(trace, kept)
        return replace(result, trace=str(kept))
