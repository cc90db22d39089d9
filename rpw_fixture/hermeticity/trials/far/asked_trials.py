"""The trials that a cluster was asked for: each once, and all at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial
from pathlib import Path

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.hermeticity.suites.suite import SuiteWorker
from rpw_fixture.hermeticity.trials.far.runner import ExecutorRunner
from rpw_fixture.hermeticity.trials.trial import Result, Trial, UnavailableError
from rpw_fixture.storage.blobs import BlobStore


class AskedTrials:
    """The trials of one harness. Thread-safe.

    Args:
        worker: the worker under test.
        executor: the cluster.
        store: the store that takes content of outputs.
        home: a folder for files.
        jobs: most trials that the cluster has at once.
        is_fresh: take no result from the cluster's action cache.
        harness: its functions that return a trial as it is to be run, that are called just before a
            trial begins and may raise what becomes of it, and that take a trial and its result.

    Attributes:
        runner: asks the cluster; the caller closes it.
    """

    def __init__(
        self,
        worker: SuiteWorker,
        executor: ExistingServer,
        store: BlobStore,
        *,
        home: Path,
        jobs: int,
        is_fresh: bool,
        harness: tuple[
            Callable[[Trial], Trial], Callable[[], None], Callable[[Trial, Result], None]
        ],
    ) -> None:
        self.runner = ExecutorRunner(
            worker, executor, store, home=home, jobs=jobs, is_fresh=is_fresh
        )
        self._prepare, self._before, self._keep = harness
        self._lock = threading.Lock()
        self._asked: dict[Trial, Future[Result]] = {}

    def ask(self, trial: Trial, *, is_fresh: bool = False) -> Future[Result]:
        """Have the cluster run a trial, once.

        Args:
            trial: the trial.
            is_fresh: run it even if the cluster remembers its result.
        """
        with self._lock:
            found = self._asked.get(trial)
            if found is None or found.cancelled():
                found = self._asked[trial] = self.runner.begin(
                    self._prepare(trial),
                    before=self._before,
                    done=partial(self._keep, trial),
                    is_fresh=is_fresh,
                )
            return found

    def wait_for(self, trials: Sequence[Trial], *, is_fresh: bool = False) -> None:
        """Have the cluster run trials, and wait for all of them; see `ask`.

        Raises:
            ConfigError, UnavailableError: what one of the trials raises.
        """
        asked = [self.ask(each, is_fresh=is_fresh) for each in trials]
        try:
            for each in asked:
                each.result()
        except UnavailableError:
            raise  # the others may be of use
        except KeyboardInterrupt:
            self.runner.cancel()
            raise
        except BaseException:
            for each in asked:
                each.cancel()
            raise

    def forget(self, trials: Iterable[Trial] | None = None) -> None:
        """Forget some trials, by default all, so that they are run when they are asked for again."""
        with self._lock:
            if trials is None:
                self._asked.clear()
            for each in trials or ():
                self._asked.pop(each, None)

    def use_one_path(self, *, enabled: bool) -> None:
        """Run later trials in the same folder on each machine, or in any, and forget the earlier ones."""
        self.runner.is_one_path = enabled
        if enabled:
            self.forget()
