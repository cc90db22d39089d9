"""Running a trial on this machine: in an empty folder, with a cold worker or one-shot processes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import (
    effect_probe,
    held,
    observed,
    one_shot,
    overlapping,
    predecessors,
    sequential,
)
from rpw_fixture.hermeticity.trials.trial import Result, RunMode, Trial, Variation
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup
from rpw_fixture.processes.spawner import Spawner
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.beneath import OwnFolder

_RUNNERS = {
    RunMode.WORKER: sequential.run,
    RunMode.OVERLAPPING: overlapping.run,
    RunMode.ONE_SHOT: one_shot.run,
    RunMode.HELD: held.run,
}


class LocalRunner:
    """A runner of trials of one worker. Thread-safe if each trial has another folder.

    Args:
        worker: the worker under test.
        spawner: starts processes.
        store: takes inputs and outputs.
    """

    def __init__(self, worker: SuiteWorker, spawner: Spawner, store: BlobStore) -> None:
        self._worker = worker
        self._setup = WorkerSetup(worker, spawner, store)

    def run(self, trial: Trial, folder: Path) -> Result:
        """Run a trial.

        Args:
            trial: the trial.
            folder: the folder of input root, HOME and TMPDIR; it is emptied before.

        Raises:
            ConfigError: the command can't be started.
            UnavailableError: this machine does not support the trial.
        """
        with OwnFolder(str(folder.parent)) as own:
            run_folder = self._setup.prepare(trial.variation, own.at(folder.name))
            if trial.experiment is not None:
                return observed.run(self._setup, trial, run_folder)
            earlier = predecessors.run(self._setup, trial, run_folder)
            result = _RUNNERS[trial.mode](self._setup, trial, run_folder)
            return replace(result, earlier=earlier)

    def effects(self, variation: Variation, folder: Path) -> Mapping[str, object]:
        """Return what each factor looks like to a process under a variation, in an empty folder.

        Raises:
            UnavailableError: this machine does not support the variation.
        """
        setup = self._setup
        with OwnFolder(str(folder.parent)) as own:
            place = own.at(folder.name)
            return effect_probe.effects(self._worker, setup.spawner, setup.store, variation, place)

    def check_layouts(self, actions: tuple[SuiteAction, ...]) -> None:
        """Lay out the inputs of all actions once.

        Raises:
            ConfigError: the inputs of an action contradict each other.
        """
        for each in actions:
            self._setup.laid_out(each)

    def with_worker(self, worker: SuiteWorker) -> LocalRunner:
        """Return a runner of trials of another worker."""
        return LocalRunner(worker, self._setup.spawner, self._setup.store)
