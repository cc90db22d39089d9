"""The harness of all checks: `Harness.run(trial)` remembers, limits and counts runs, many at a time.

`local` and `remote` run a trial; the harness decides where and when, and whether it runs at all.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker
from rpw_fixture.hermeticity.trials import side_by_side
from rpw_fixture.hermeticity.trials.begun_trials import ASIDE, BegunTrials
from rpw_fixture.hermeticity.trials.local import LocalRunner
from rpw_fixture.hermeticity.trials.memory import FirstAnswer, TrialMemory
from rpw_fixture.hermeticity.trials.remembering import RememberingRunner, Runner
from rpw_fixture.hermeticity.trials.result_store import ResultStore
from rpw_fixture.hermeticity.trials.run_folders import RunFolders
from rpw_fixture.hermeticity.trials.trial import (
    BASE,
    Result,
    Step,
    Trial,
    Variation,
    steps,
)
from rpw_fixture.hermeticity.trials.trial_keys import TrialKeys
from rpw_fixture.processes.spawner import Spawner
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.cas import Cas
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.thread_turns import frequent_turns
from rpw_fixture.support.workspace import Workspace
from rpw_fixture.wire.digests import SHA256, DigestFunctions

if TYPE_CHECKING:
    from rpw_fixture.client.existing_server import ExistingServer
    from rpw_fixture.hermeticity.trials.far.asked_trials import AskedTrials
    from rpw_fixture.hermeticity.trials.remote import RemoteRunner

T = TypeVar("T")

_MEMORY = 256 << 20
_MAX_BYTES = 64 << 30
_SPILL = 1 << 20
#: Seconds to wait for an answer in the other protocol.
_OTHER_PROTOCOL_TIMEOUT = 5.0
#: Seconds to wait for late output of a worker that does not end by itself.
_SHORT_PATIENCE = 0.05


class OutOfTimeError(Exception):
    """The time limit of the whole check is reached."""


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
        worker_starts, requests: numbers of those that were run.
        trials, trials_run: number of different trials, and of those that no earlier program had run.
        asked: the trials that were asked for, in that order.
        latest: when the newest result that was asked for was there, seconds since the epoch. Judgements
            go by this time, so that they are the same when all results are remembered.
        can_remember: results of earlier programs may be among those of this one.
        remembering: knows results of earlier programs; None if there are none.
        remote: runs trials on that server; None if they run on this machine.
        ignores_eof: the worker is known not to end by itself, so no trial waits for that.

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
        self.worker_starts = 0
        self.requests = 0
        self.latest = 0.0
        self.asked: list[Trial] = []
        self.trials = 0
        self.trials_run = 0
        self.remembering: RememberingRunner | None = None
        self._results_before = results
        self.can_remember = results is not None or bool(executor and not is_forgetful)
        self.remote: RemoteRunner | None = None
        self._far: AskedTrials | None = None
        self.ignores_eof = False
        self._began = time.monotonic()
        self._limit = max_seconds
        self._progress = progress
        self._lock = threading.Lock()
        self._undo = contextlib.ExitStack()
        self._stop: Callable[[], None] = self._undo.close
        self._serial = itertools.count()
        self._memory = TrialMemory()
        self._is_one_path = False
        self._results: list[tuple[Trial, Result]] = []
        self._spawner: Spawner | None = None
        self._begun = BegunTrials(self._run_unless_known, self._run_aside, jobs)
        self._build(target, executor, max(1, jobs))

    def close(self) -> None:
        """End every process and remove every file."""
        self._undo.close()

    @property
    def jobs(self) -> int:
        """Number of trials that run at once."""
        return self._folders.count

    @property
    def seconds(self) -> float:
        """Seconds since the harness was created."""
        return time.monotonic() - self._began

    @property
    def store(self) -> BlobStore:
        """The store with the content of inputs and outputs."""
        return self._store

    @property
    def results(self) -> Sequence[tuple[Trial, Result]]:
        """All trials run so far with their results, in the order in which they ended."""
        with self._lock:
            return tuple(self._results)

    @property
    def folder(self) -> Path:
        """The folder below which all trials run."""
        return self._folder

    @property
    def search_path(self) -> str:
        """PATH of the programs that trials start."""
        return self._far.runner.search_path if self._far else os.environ.get("PATH", os.defpath)

    def use_one_path(self) -> None:
        """Run all later trials in the same folder, one at a time, and forget those run elsewhere.

        This is for actions whose results depend on the path of the input root: nothing else could be
        compared otherwise. Machines of a cluster have that folder each.
        """
        self._is_one_path = True
        if self._far is not None:
            self._far.use_one_path(enabled=True)
        else:
            self._folders.keep_one()
            self.trust_no_memory()
        with self._lock:
            self._memory.forget()

    def trust_no_memory(self) -> None:
        """Run all later trials, whatever earlier programs remember, and remember none of them."""
        if self.remembering is not None:
            self.remembering.is_trusting = False
        if self._far is not None:
            self._far.runner.is_fresh = True

    def use_all_paths(self) -> None:
        """Run later trials side by side again, because results do not depend on the path after all."""
        self._is_one_path = False
        if self._far is not None:
            self._far.use_one_path(enabled=False)
        else:
            self._folders.use_all()

    def run(self, trial: Trial) -> Result:
        """Return the result of a trial, which is run unless an equal one was run before.

        Raises:
            OutOfTimeError: the time limit is reached.
            ConfigError: the command can't be started.
            UnavailableError: this machine or endpoint does not support the trial.
        """
        result = self._result_of(trial)
        with self._lock:
            self.asked.append(trial)
            self.latest = max(self.latest, result.ended)
        return result

    def _result_of(self, trial: Trial) -> Result:
        known = self.known(trial)
        if known is not None:
            return known
        if self._far is not None:
            return self._far.ask(trial).result()
        return self._begun.find(trial) or self._run_in_slot(trial)

    def _run_unless_known(self, trial: Trial) -> Result:
        return self.known(trial) or self._run_in_slot(trial)  # a longer trial may have shown it

    def _run_in_slot(self, trial: Trial) -> Result:
        self._require_time()
        with self._folders.taken() as folder:
            result = self._run_now(trial, folder)
            if result.trace and os.path.isfile(result.trace) and not os.path.islink(result.trace):
                kept = self._folder / f"trace-{next(self._serial)}"
                shutil.move(result.trace, kept)
                result = replace(result, trace=str(kept))
        self._keep(trial, result)
        return result

    def _run_now(self, trial: Trial, folder: Path) -> Result:
        asked = self._without_vain_wait(trial)
        began = time.time()
        result = self._runner.run(asked, folder)
        if result.is_remembered:
            return result
        result = replace(result, began=began, ended=time.time())
        if self.remembering is not None:
            self.remembering.keep(asked, result)
        return result

    def is_remembered(self, trial: Trial) -> bool:
        """Return whether the result of a trial is known, and from an earlier program only."""
        found = self.known(trial)
        return found is not None and found.is_remembered

    def run_afresh(self, trials: Sequence[Trial]) -> None:
        """Run trials again whose results an earlier program remembered."""
        with self._lock:
            kept = [each for each in self._results if each[0] not in trials]
            self.trials -= len(self._results) - len(kept)
            self._results = kept
            for each in trials:
                self._memory.forget_result(each)
                if self.remembering is not None:
                    self.remembering.ask_afresh(self._without_vain_wait(each))
        if self._far is not None:
            self._far.forget(trials)
            self._far.wait_for(trials, is_fresh=True)
            return
        with ThreadPoolExecutor(self.jobs, thread_name_prefix="rpw-check") as pool:
            list(pool.map(self._run_in_slot, trials))

    def first_answers(self, step: Step) -> Sequence[FirstAnswer]:
        """Return the outcomes of a request that was the first one to its worker, in usual surroundings."""
        with self._lock:
            return self._memory.first_answers(step)

    def effects(self, variation: Variation) -> Mapping[str, object]:
        """Return what each factor looks like to a probe process; empty if that is unknown.

        Raises:
            UnavailableError: this machine does not support the variation.
        """
        with self._folders.taken() as folder:
            return self._runner.effects(variation, folder)

    def begin(self, trial: Trial) -> None:
        """Begin a trial that waits more than it works, in a separate folder if the path may differ."""
        if self.known(trial) is not None:
            return
        if self._far is not None:
            self._far.ask(trial)
        elif not self._is_one_path:
            self._begun.begin_aside(trial)

    def begin_ahead(self, trials: Iterable[Trial]) -> None:
        """Begin trials that will be asked for, as far as more than one can run at once."""
        unknown = [each for each in trials if self.known(each) is None]
        if self._far is not None:
            for each in unknown:
                self._far.ask(each)
        elif self.jobs > 1:
            self._begun.begin_ahead(unknown)

    def _run_aside(self, trial: Trial) -> Result:
        with self._folders_aside.taken() as folder:
            result = self._run_now(trial, folder)
        self._keep(trial, result)
        return result

    def run_all(self, trials: Sequence[Trial]) -> list[Result]:
        """Run trials side by side; return the results in their order. Raises what `run` raises."""
        if self._far is not None:
            self._far.wait_for([each for each in trials if self.known(each) is None])
            return [self.run(each) for each in trials]
        return self.side_by_side([functools.partial(self.run, each) for each in trials])

    def side_by_side(self, tasks: Sequence[Callable[[], T]]) -> list[T]:
        """Return the results of functions that run trials, as many at once as trials are."""
        return side_by_side.run(tasks, self.jobs, self._stop)

    def _require_time(self) -> None:
        if self._limit is not None and self.seconds >= self._limit:
            raise OutOfTimeError(
                f"the time limit of {self._limit:.3g} s (--max-seconds) was reached"
            )

    def answers_otherwise(self, action: SuiteAction) -> bool:
        """Return whether a fresh worker answers an action in the other protocol than the suite's."""
        if self._spawner is None and self._far is None:
            return False
        worker = replace(
            self.suite.worker,
            protocol=self.suite.worker.protocol.other,
            timeout=min(self.suite.worker.timeout, _OTHER_PROTOCOL_TIMEOUT),
        )
        outcome = self._run_on(worker, cold(action)).outcomes[0]
        with self._lock:
            self.worker_starts += 1
            self.requests += 1
        return not outcome.failure

    def _run_on(self, worker: SuiteWorker, trial: Trial) -> Result:
        """Return the result of a trial of another worker."""
        if self._far is not None:
            return self._far.runner.begin(trial, worker=worker).result()
        assert self._spawner is not None
        with self._folders.taken() as folder:
            return LocalRunner(worker, self._spawner, self._store).run(trial, folder)

    def check_layouts(self, actions: Sequence[SuiteAction]) -> None:
        """Lay out the inputs of actions without running them.

        Raises:
            ConfigError: the inputs of an action contradict each other.
        """
        self._runner.check_layouts(tuple(actions))

    def _build(
        self, target: ExistingServer | None, executor: ExistingServer | None, jobs: int
    ) -> None:
        with contextlib.ExitStack() as undo:
            undo.enter_context(frequent_turns())
            self._folder = undo.enter_context(Workspace()).path
            self._folders = RunFolders(self._folder, jobs)
            self._folders_aside = RunFolders(self._folder, ASIDE, name="aside")
            cas = Cas(
                DigestFunctions(["SHA256"]),
                folder=self._folder / "cas",
                memory_bytes=_MEMORY,
                spill_threshold=_SPILL,
                max_bytes=_MAX_BYTES,
                durable=False,
            )
            undo.callback(cas.close)
            # After the end of the spawner, which ends workers that it may wait for.
            undo.callback(self._begun.close)
            self._store = cas.store(SHA256)
            if executor is not None:
                self._runner = self._on_executor(executor, undo)
            else:
                self._runner = self._local(undo) if target is None else self._remote(target, undo)
            self._runner.check_layouts(self.suite.actions)
            self._undo = undo.pop_all()

    def _local(self, undo: contextlib.ExitStack) -> Runner:
        spawner = undo.enter_context(Spawner())
        self._stop = spawner.close
        self._spawner = spawner
        runner = LocalRunner(self.suite.worker, spawner, self._store)
        if self._results_before is None:
            return runner
        keys = TrialKeys(self.suite.worker, os.environ.get("PATH", os.defpath))
        self.remembering = RememberingRunner(
            runner, self._results_before, keys, self._store, self._folder
        )
        return self.remembering

    def _on_executor(self, executor: ExistingServer, undo: contextlib.ExitStack) -> Runner:
        from rpw_fixture.hermeticity.trials.far.asked_trials import AskedTrials  # noqa: PLC0415

        self._far = AskedTrials(
            self.suite.worker,
            executor,
            self._store,
            home=self._folder,
            jobs=self.jobs,
            is_fresh=not self.can_remember,
            harness=(self._without_vain_wait, self._require_time, self._keep),
        )
        self._stop = undo.enter_context(self._far.runner).cancel
        self._store = self._far.runner.store
        return self._far.runner.require_endpoint()

    def _remote(self, target: ExistingServer, undo: contextlib.ExitStack) -> Runner:
        from rpw_fixture.hermeticity.trials.remote import RemoteRunner  # noqa: PLC0415 - loads grpc

        client = undo.enter_context(target.connect())
        self._stop = client.close
        runner = RemoteRunner(
            self.suite.worker, client, self._store, target.platform, may_silo=target.may_silo
        )
        self.remote = runner.require_endpoint()
        return runner

    def _without_vain_wait(self, trial: Trial) -> Trial:
        """Return the trial with a short wait at its end if waiting longer is known not to help."""
        is_in_vain = self.ignores_eof and trial.eof_patience <= Trial(history=()).eof_patience
        return replace(trial, eof_patience=_SHORT_PATIENCE) if is_in_vain else trial

    def known(self, trial: Trial) -> Result | None:
        """Return what `run` returns without running a trial; None if it would run it."""
        with self._lock:
            return self._memory.find(trial)

    def _keep(self, trial: Trial, result: Result) -> None:
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


def cold(action: SuiteAction, *, run: int = 0, variation: Variation = BASE) -> Trial:
    """Return a trial of one request to a fresh worker."""
    return Trial(history=steps(action), run=run, variation=variation)
