"""Steps run one-shot: a process for each, without the worker protocol."""

from __future__ import annotations

import time

from rpw_fixture.execution import command_run
from rpw_fixture.hermeticity.trials import snapshot
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.hermeticity.trials.trial import Outcome, Result, Step, Trial
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup
from rpw_fixture.launching.launch import Launch, Local
from rpw_fixture.support.cancellation import CancelToken

_MAX_OUTPUT = 1 << 20


def run(ground: WorkerSetup, trial: Trial, place: RunFolder) -> Result:
    """Runs the trial.

    Raises:
        ConfigError: when the command can't be started.
        UnavailableError: when reads can't be watched.
    """
    return Result(outcomes=tuple(_run(ground, trial, each, place) for each in trial.history))


def _run(ground: WorkerSetup, trial: Trial, step: Step, place: RunFolder) -> Outcome:
    found = ground.stage(step.action, place)
    before = snapshot.look(place.input_root)
    command = Launch(
        argv=(*ground.worker.command, f"@{step.action.flagfile}"),
        environment=ground.environment(place),
        root=place.root,
        working_directory=ground.worker.working_directory,
    )
    with ground.watched(trial, step.action, place) as watch:
        result = command_run.run(
            command,
            launcher=Local(ground.spawner),
            deadline=time.monotonic() + ground.worker.timeout,
            token=CancelToken(),
            max_output_bytes=_MAX_OUTPUT,
        )
        opened = watch.opened() if watch is not None else frozenset()
    seen = ground.look(place.input_root, before, found)
    return Outcome(
        step=step,
        exit_code=None if result.timed_out else result.exit_code,
        response=(result.stdout + result.stderr).decode(errors="replace"),
        outputs=seen.outputs,
        failure="timeout" if result.timed_out else "",
        detail="no end within the timeout" if result.timed_out else "",
        changed_inputs=seen.changed_inputs,
        strays=seen.strays,
        opened=opened,
    )
