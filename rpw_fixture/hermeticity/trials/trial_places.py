"""Where the trials of a suite run: on this machine, on those of a cluster, or on workers of an endpoint."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials.local import LocalRunner
from rpw_fixture.hermeticity.trials.remembering import RememberingRunner, Runner
from rpw_fixture.hermeticity.trials.result_store import ResultStore
from rpw_fixture.hermeticity.trials.trial import Result, Trial, Variation
from rpw_fixture.hermeticity.trials.trial_book import TrialBook
from rpw_fixture.hermeticity.trials.trial_keys import TrialKeys
from rpw_fixture.hermeticity.trials.trial_slots import TrialSlots
from rpw_fixture.processes.spawner import Spawner
from rpw_fixture.storage.blobs import BlobStore

if TYPE_CHECKING:
    from rpw_fixture.client.existing_server import ExistingServer
    from rpw_fixture.hermeticity.trials.remote import RemoteRunner


class PlacedTrials(Protocol):
    """Trials in one place, as `TrialSlots` and `AskedTrials` have them; both say what is raised."""

    @property
    def jobs(self) -> int:
        """Number of trials that run at once."""

    @property
    def search_path(self) -> str:
        """PATH of the programs that trials start."""

    def run(self, trial: Trial) -> Result:
        """Return what is known of a trial, else run it."""

    def run_all(self, trials: Sequence[Trial]) -> None:
        """Run trials that are not known, side by side."""

    def run_afresh(self, trials: Sequence[Trial]) -> None:
        """Run trials again, whatever is remembered of them."""

    def run_with(self, worker: SuiteWorker, trial: Trial) -> Result | None:
        """Return the result of a trial of another worker; None if no other one can be run."""

    def begin(self, trial: Trial) -> None:
        """Begin a trial that waits more than it works."""

    def begin_ahead(self, trials: Iterable[Trial]) -> None:
        """Begin trials that will be asked for."""

    def effects(self, variation: Variation) -> Mapping[str, object]:
        """Return what each factor looks like to a probe process; empty if that is unknown."""

    def check_layouts(self, actions: Sequence[SuiteAction]) -> None:
        """Lay out the inputs of actions without running them."""

    def use_one_path(self) -> None:
        """Run later trials in the same folder."""

    def use_all_paths(self) -> None:
        """Run later trials in any folder again."""

    def trust_no_memory(self) -> None:
        """Run later trials, whatever earlier programs remember."""


class TrialPlace(NamedTuple):
    """A place for trials, until the stack with which it was made is closed.

    Attributes:
        trials: runs trials there.
        store: the store with the content of inputs and outputs.
        stop: makes running trials end soon, when the user interrupts.
        remembering: knows results of earlier programs; None if there are none.
        remote: runs trials on an endpoint's workers; None if they run elsewhere.
    """

    trials: PlacedTrials
    store: BlobStore
    stop: Callable[[], None]
    remembering: RememberingRunner | None = None
    remote: RemoteRunner | None = None


class PlaceNeeds(NamedTuple):
    """What every place needs.

    Attributes:
        suite: the worker and its actions.
        book: the record of all trials.
        store: takes the content of inputs and outputs.
        folder: the folder below which all trials run.
        jobs: number of trials that run at once.
    """

    suite: Suite
    book: TrialBook
    store: BlobStore
    folder: Path
    jobs: int


def this_machine(
    needs: PlaceNeeds, undo: contextlib.ExitStack, results: ResultStore | None = None
) -> TrialPlace:
    """Return this machine; results of earlier programs save trials."""
    worker, store = needs.suite.worker, needs.store
    spawner = Spawner()
    runner: Runner = LocalRunner(worker, spawner, store)
    remembering = None
    if results is not None:
        keys = TrialKeys(worker, os.environ.get("PATH", os.defpath))
        remembering = RememberingRunner(runner, results, keys, store, needs.folder)
        runner = remembering
    trials = TrialSlots(
        needs.book,
        runner,
        needs.folder,
        jobs=needs.jobs,
        stop=spawner.close,
        remembering=remembering,
    )
    undo.callback(trials.close)
    undo.enter_context(spawner)  # it ends first, and with it the workers that trials wait for
    return TrialPlace(trials, store, spawner.close, remembering)


def endpoint(needs: PlaceNeeds, undo: contextlib.ExitStack, target: ExistingServer) -> TrialPlace:
    """Return the workers of an endpoint, which runs the actions.

    Raises:
        EnvironmentLacksError: the endpoint does not answer, or executes no actions.
    """
    from rpw_fixture.hermeticity.trials.remote import RemoteRunner  # noqa: PLC0415 - loads grpc

    with contextlib.ExitStack() as connection:
        client = connection.enter_context(target.connect())
        runner = RemoteRunner(
            needs.suite.worker, client, needs.store, target.platform, may_silo=target.may_silo
        ).require_endpoint()
        trials = TrialSlots(needs.book, runner, needs.folder, jobs=needs.jobs, stop=client.close)
        undo.callback(trials.close)
        undo.enter_context(connection.pop_all())  # it ends first, and with it what trials wait for
    return TrialPlace(trials, needs.store, client.close, remote=runner)


def cluster(
    needs: PlaceNeeds, undo: contextlib.ExitStack, executor: ExistingServer, *, is_fresh: bool
) -> TrialPlace:
    """Return the machines of a cluster, which runs the trials.

    Raises:
        EnvironmentLacksError: the cluster does not answer, or can't run the program.
    """
    from rpw_fixture.hermeticity.trials.far.asked_trials import AskedTrials  # noqa: PLC0415
    from rpw_fixture.hermeticity.trials.far.runner import ExecutorRunner  # noqa: PLC0415

    runner = undo.enter_context(
        ExecutorRunner(
            needs.suite.worker,
            executor,
            needs.store,
            home=needs.folder,
            jobs=needs.jobs,
            is_fresh=is_fresh,
        )
    )
    runner.require_endpoint()
    trials = AskedTrials(needs.book, runner, jobs=needs.jobs)
    return TrialPlace(trials, runner.store, runner.cancel)
