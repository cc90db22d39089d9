"""The trials that a cluster was asked for: each once, and all at the same time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future
from functools import partial

from rpw_fixture.hermeticity.trials.far.runner import ExecutorRunner
from rpw_fixture.hermeticity.trials.trial import Result, Trial, UnavailableError


class AskedTrials:
    """The trials of one harness. Thread-safe.

    Args:
        runner: asks the cluster.
        prepare: returns a trial as it is to be run.
        before: called just before a trial begins; what it raises is the outcome.
        keep: called with a trial and its result.
    """

    def __init__(
        self,
        runner: ExecutorRunner,
        *,
        prepare: Callable[[Trial], Trial],
        before: Callable[[], None],
        keep: Callable[[Trial, Result], None],
    ) -> None:
        self.runner = runner
        self._prepare = prepare
        self._before = before
        self._keep = keep
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
