"""The harness of all checks: it runs each trial once, wherever trials run, and knows what came out.

`TrialBook` knows what was run, and `trial_places` where trials run.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction
from rpw_fixture.hermeticity.trials import side_by_side, trial_places
from rpw_fixture.hermeticity.trials.memory import FirstAnswer
from rpw_fixture.hermeticity.trials.remembering import RememberingRunner
from rpw_fixture.hermeticity.trials.result_store import ResultStore
from rpw_fixture.hermeticity.trials.trial import BASE, Result, Step, Trial, Variation, steps
from rpw_fixture.hermeticity.trials.trial_book import TrialBook
from rpw_fixture.hermeticity.trials.trial_places import PlaceNeeds, TrialPlace
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.thread_turns import frequent_turns
from rpw_fixture.support.workspace import Workspace
from rpw_fixture.wire.digests import SHA256, DigestFunctions

if TYPE_CHECKING:
    from rpw_fixture.client.existing_server import ExistingServer
    from rpw_fixture.hermeticity.trials.remote import RemoteRunner

T = TypeVar("T")

_MEMORY = 256 << 20
_MAX_BYTES = 64 << 30
_SPILL = 1 << 20
#: Seconds to wait for an answer in the other protocol.
_OTHER_PROTOCOL_TIMEOUT = 5.0


class Harness(Closeable):
    """A runner of the trials of one suite: on this machine, on a cluster's machines, or on an endpoint.

    Args:
        suite: the worker and its actions.
        jobs: number of trials that run at once.
        max_seconds: time limit for all trials together, seconds; None for no limit.
        progress: called with the number of worker starts and of requests so far.
        target: an REAPI server that runs the actions; None to run them on this machine.
        executor: an REAPI server that runs the trials as actions; None to run them on this machine.
        results: results of earlier programs, which save trials on this machine; None for none.
        is_forgetful: a cluster's machines take no results of earlier programs from its action cache.

    Attributes:
        book: what was run, and what came out; thread-safe.
        folder: the folder below which all trials run.
        can_remember: results of earlier programs may be among those of this one.

    Raises:
        ConfigError: an action or the endpoint can't be used.
        EnvironmentLacksError: the endpoint does not answer.
    """

    def __init__(
        self,
        suite: Suite,
        *,
        jobs: int = 2,
        max_seconds: float | None = None,
        progress: Callable[[int, int], None] | None = None,
        target: ExistingServer | None = None,
        executor: ExistingServer | None = None,
        results: ResultStore | None = None,
        is_forgetful: bool = True,
    ) -> None:
        self.suite = suite
        self.book = TrialBook(max_seconds=max_seconds, progress=progress)
        self.can_remember = results is not None or bool(executor and not is_forgetful)
        with contextlib.ExitStack() as undo:
            undo.enter_context(frequent_turns())
            self.folder = undo.enter_context(Workspace()).path
            store = _opened_store(self.folder, undo)
            needs = PlaceNeeds(suite, self.book, store, self.folder, max(1, jobs))
            self._place = self._chosen_place(needs, undo, target, executor, results)
            self._place.trials.check_layouts(suite.actions)
            self._undo = undo.pop_all()

    def _chosen_place(
        self,
        needs: PlaceNeeds,
        undo: contextlib.ExitStack,
        target: ExistingServer | None,
        executor: ExistingServer | None,
        results: ResultStore | None,
    ) -> TrialPlace:
        if executor is not None:
            return trial_places.cluster(needs, undo, executor, is_fresh=not self.can_remember)
        if target is not None:
            return trial_places.endpoint(needs, undo, target)
        return trial_places.this_machine(needs, undo, results)

    def close(self) -> None:
        """End every process and remove every file."""
        self._undo.close()

    @property
    def jobs(self) -> int:
        """Number of trials that run at once."""
        return self._place.trials.jobs

    @property
    def store(self) -> BlobStore:
        """The store with the content of inputs and outputs."""
        return self._place.store

    @property
    def search_path(self) -> str:
        """PATH of the programs that trials start."""
        return self._place.trials.search_path

    @property
    def remembering(self) -> RememberingRunner | None:
        """What knows results of earlier programs; None if there are none."""
        return self._place.remembering

    @property
    def remote(self) -> RemoteRunner | None:
        """What runs trials on an endpoint's workers; None if they run elsewhere."""
        return self._place.remote

    def run(self, trial: Trial) -> Result:
        """Return the result of a trial, which is run unless an equal one was run before.

        Raises:
            OutOfTimeError: the time limit is reached.
            ConfigError: the command can't be started.
            UnavailableError: this machine or endpoint does not support the trial.
        """
        result = self._place.trials.run(trial)
        self.book.note_asked(trial, result)
        return result

    def run_all(self, trials: Sequence[Trial]) -> list[Result]:
        """Run trials side by side; return the results in their order. Raises what `run` raises."""
        self._place.trials.run_all(trials)
        return [self.run(each) for each in trials]

    def run_afresh(self, trials: Sequence[Trial]) -> None:
        """Run trials again whose results an earlier program remembered."""
        self.book.strike_out(trials)
        self._place.trials.run_afresh(trials)

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Return the results of functions that run trials, as many at once as trials are."""
        return side_by_side.run(tasks, self.jobs, self._place.stop)

    def begin(self, trial: Trial) -> None:
        """Begin a trial that waits more than it works."""
        if self.book.known(trial) is None:
            self._place.trials.begin(trial)

    def begin_ahead(self, trials: Iterable[Trial]) -> None:
        """Begin trials that will be asked for, as far as more than one can run at once."""
        unknown = [each for each in trials if self.book.known(each) is None]
        self._place.trials.begin_ahead(unknown)

    def known(self, trial: Trial) -> Result | None:
        """Return what `run` returns without running a trial; None if it would run it."""
        return self.book.known(trial)

    def is_remembered(self, trial: Trial) -> bool:
        """Return whether the result of a trial is known, and from an earlier program only."""
        found = self.known(trial)
        return found is not None and found.is_remembered

    def first_answers(self, step: Step) -> Sequence[FirstAnswer]:
        """Return the outcomes of a request that was the first one to its worker, in usual surroundings."""
        return self.book.first_answers(step)

    def effects(self, variation: Variation) -> Mapping[str, object]:
        """Return what each factor looks like to a probe process; empty if that is unknown.

        Raises:
            UnavailableError: this machine does not support the variation.
        """
        return self._place.trials.effects(variation)

    def answers_otherwise(self, action: SuiteAction) -> bool:
        """Return whether a fresh worker answers an action in the other protocol than the suite's."""
        worker = replace(
            self.suite.worker,
            protocol=self.suite.worker.protocol.other,
            timeout=min(self.suite.worker.timeout, _OTHER_PROTOCOL_TIMEOUT),
        )
        result = self._place.trials.run_with(worker, cold(action))
        if result is None:
            return False
        self.book.count(starts=1, requests=1)
        return not result.outcomes[0].failure

    def check_layouts(self, actions: Sequence[SuiteAction]) -> None:
        """Lay out the inputs of actions without running them.

        Raises:
            ConfigError: the inputs of an action contradict each other.
        """
        self._place.trials.check_layouts(actions)

    def use_one_path(self) -> None:
        """Run all later trials in the same folder, one at a time, and forget those run elsewhere.

        This is for actions whose results depend on the path of the input root: nothing else could be
        compared otherwise. Machines of a cluster have that folder each.
        """
        self._place.trials.use_one_path()
        self.book.trust_nothing()

    def use_all_paths(self) -> None:
        """Run later trials side by side again, because results do not depend on the path after all."""
        self._place.trials.use_all_paths()

    def trust_no_memory(self) -> None:
        """Run all later trials, whatever earlier programs remember, and remember none of them."""
        self._place.trials.trust_no_memory()


def _opened_store(folder: Path, undo: contextlib.ExitStack) -> BlobStore:
    cas = Cas(
        DigestFunctions(["SHA256"]),
        folder=folder / "cas",
        memory_bytes=_MEMORY,
        spill_threshold=_SPILL,
        max_bytes=_MAX_BYTES,
        durable=False,
    )
    undo.callback(cas.close)
    return cas.store(SHA256)


def cold(action: SuiteAction, *, run: int = 0, variation: Variation = BASE) -> Trial:
    """Return a trial of one request to a fresh worker."""
    return Trial(history=steps(action), run=run, variation=variation)
