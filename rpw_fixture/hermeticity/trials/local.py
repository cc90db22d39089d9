"""Running one trial on this machine: a fresh folder, a cold worker, its requests, and a look after each."""

from __future__ import annotations

from pathlib import Path

from rpw_fixture.hermeticity.suites.suite import SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import one_shot, overlapping, sequential
from rpw_fixture.hermeticity.trials.trial import Result, RunMode, Trial
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup
from rpw_fixture.processes.spawner import Spawner
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.beneath import OwnFolder

_RUNNERS = {
    RunMode.WORKER: sequential.run,
    RunMode.OVERLAPPING: overlapping.run,
    RunMode.ONE_SHOT: one_shot.run,
}


class LocalRunner:
    """Runs trials of one worker. Thread-safe; each trial needs a folder that no other one uses.

    Args:
        worker: what is under test.
        spawner: starts processes.
        store: takes inputs and outputs.
    """

    def __init__(self, worker: SuiteWorker, spawner: Spawner, store: BlobStore) -> None:
        self._setup = WorkerSetup(worker, spawner, store)

    def run(self, trial: Trial, folder: Path) -> Result:
        """Runs a trial.

        Args:
            trial: what to do.
            folder: is emptied before; input root, HOME and TMPDIR lie in it.

        Raises:
            ConfigError: when the command can't be started.
            UnavailableError: when the variation can't be had here.
        """
        with OwnFolder(str(folder.parent)) as own:
            run_folder = self._setup.prepare(trial.variation, own.at(folder.name))
            return _RUNNERS[trial.mode](self._setup, trial, run_folder)

    def check_layouts(self, actions: tuple[SuiteAction, ...]) -> None:
        """Lays all actions out once.

        Raises:
            ConfigError: for one that can't be.
        """
        for each in actions:
            self._setup.laid_out(each)
