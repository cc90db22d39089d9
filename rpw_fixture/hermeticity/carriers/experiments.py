"""Experiments for one finding: put changed state back, and look whether the victim is right then."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rpw_fixture.hermeticity.checks.context import INPUTS_MISSING, CheckContext
from rpw_fixture.hermeticity.findings.finding import Finding
from rpw_fixture.hermeticity.trials.experiment import Experiment, Observation
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, RunMode, Trial

#: The number of a run that repeats one in which the observer was lost.
_AFTER_LOSS = 100


class OutOfStartsError(Exception):
    """The limit of worker starts for one finding is reached."""


def shown_by(finding: Finding) -> Trial:
    """Return the trial that shows a finding."""
    if finding.trial is not None:
        return finding.trial
    history = finding.history
    lacks_inputs = history[0].action.variant == INPUTS_MISSING
    return Trial(
        history=history,
        variation=finding.variation,
        mode=finding.mode,
        # A worker must have what it needs at its start.
        started_with=history[-1].action if lacks_inputs and len(history) > 1 else None,
    )


@dataclass(slots=True)
class Experimenter:
    """Experiments with the trial of one finding.

    Attributes:
        context: runs and compares.
        trial: the trial that shows the finding, without an experiment.
        reference: the outcome that the last request should have.
        most: number of worker starts that may be taken.
        observer: runtime of the observer that is loaded; "" for none.
        program: the worker's interpreter.
        victim: place of the victim in the history.
        loaded: modules that are loaded before the state is remembered.
        starts: number of worker starts taken so far.
    """

    context: CheckContext
    trial: Trial
    reference: Outcome
    most: int
    observer: str = ""
    program: str = ""
    victim: int = -1
    loaded: tuple[str, ...] = ()
    starts: int = 0

    def run(
        self, restored: Sequence[str] = (), watched: Sequence[str] = (), run: int = 0
    ) -> Result:
        """Run the trial with an experiment.

        Raises:
            OutOfStartsError: no worker starts are left.
            OutOfTimeError, ConfigError, UnavailableError: as `Harness.run`.
        """
        self.starts += self.trial.starts
        if self.starts > self.most:
            raise OutOfStartsError
        experiment = Experiment(
            observer=self.observer,
            program=self.program,
            restored=tuple(restored),
            watched=tuple(watched),
            loaded=self.loaded,
        )
        return self.context.run(replace(self.trial, experiment=experiment, run=run))

    def shows(self, result: Result) -> bool:
        """Return whether a result shows the finding."""
        last = self._last(result)
        return last is not None and bool(self.context.differing(self.reference, last))

    def is_right(self, result: Result) -> bool:
        """Return whether the last request was answered as it should."""
        last = self._last(result)
        return last is not None and not self.context.differing(self.reference, last)

    def is_right_with(self, restored: Sequence[str], run: int = 0) -> bool:
        """Return whether the last request is answered as it should with some places put back.

        A run in which the observer was lost shows nothing, so that it is repeated once.

        Raises:
            OutOfStartsError: no worker starts are left, or the observer was lost twice.
            OutOfTimeError, ConfigError, UnavailableError: as `Harness.run`.
        """
        for each in (run, run + _AFTER_LOSS):
            result = self.run(restored, run=each)
            if not self.observer or result.observation.runtime:
                return self.is_right(result)
        raise OutOfStartsError

    def _last(self, result: Result) -> Outcome | None:
        is_whole = len(result.outcomes) == len(self.trial.history)
        return result.outcomes[self.victim] if is_whole else None


def victim_of(finding: Finding, trial: Trial) -> int:
    """Return the place of a finding's victim among the requests of its trial."""
    names = [each.action.name for each in trial.history]
    return names.index(finding.victim) if trial.mode is RunMode.OVERLAPPING else len(names) - 1


def reference_of(context: CheckContext, trial: Trial, victim: int) -> Outcome:
    """Return the outcome that a request of a trial has without what came before it."""
    if trial.predecessors:
        return context.run(Trial(history=trial.history)).outcomes[-1]
    step = replace(trial.history[victim], in_place=False, pause=0.0)
    return context.run(Trial(history=(step,), variation=trial.variation)).outcomes[0]


def observe(context: CheckContext) -> Observation:
    """Return what a worker looks like that has served one request, without any observer."""
    history = (replace(context.recorded_order.history[0]),)
    return context.run(Trial(history=history, experiment=Experiment())).observation
