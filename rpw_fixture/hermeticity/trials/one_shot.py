"""Running a history one-shot: a process for each step, without the worker protocol."""

from __future__ import annotations

import time

from rpw_fixture.execution import command_run
from rpw_fixture.hermeticity.trials import snapshot
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.hermeticity.trials.trial import (
    NO_ONE_SHOT,
    Outcome,
    Result,
    Step,
    Trial,
    UnavailableError,
)
from rpw_fixture.hermeticity.trials.worker_session import TIMEOUT
from rpw_fixture.hermeticity.trials.worker_setup import WorkerSetup
from rpw_fixture.launching.launch import Launch, Local
from rpw_fixture.support.cancellation import CancelToken

_MAX_OUTPUT = 1 << 20


def run(setup: WorkerSetup, trial: Trial, run_folder: RunFolder) -> Result:
    """Run the trial.

    Raises:
        ConfigError: the command can't be started.
        UnavailableError: reads can't be watched, or the tool has no one-shot form.
    """
    if not setup.worker.one_shot:
        raise UnavailableError(NO_ONE_SHOT)
    return Result(outcomes=tuple(_run(setup, trial, each, run_folder) for each in trial.history))


def _run(setup: WorkerSetup, trial: Trial, step: Step, run_folder: RunFolder) -> Outcome:
    layout = setup.stage(step.action, run_folder)
    before = snapshot.look(run_folder.input_root)
    command = Launch(
        argv=(*setup.worker.command, setup.worker.flagfile_argument(step.action.flagfile)),
        environment=setup.environment(run_folder),
        root=run_folder.root,
        working_directory=setup.worker.working_directory,
    )
    with setup.watched(trial, step.action, run_folder) as watch:
        result = command_run.run(
            command,
            launcher=Local(setup.spawner),
            deadline=time.monotonic() + setup.worker.timeout,
            token=CancelToken(),
            max_output_bytes=_MAX_OUTPUT,
        )
        opened = watch.opened() if watch is not None else frozenset()
    seen = setup.look(run_folder.input_root, before, layout)
    return Outcome(
        step=step,
        exit_code=None if result.timed_out else result.exit_code,
        response=(result.stdout + result.stderr).decode(errors="replace"),
        outputs=seen.outputs,
        failure=TIMEOUT if result.timed_out else "",
        detail="the process did not end within the timeout" if result.timed_out else "",
        changed_inputs=seen.changed_inputs,
        strays=seen.strays,
        opened=opened,
    )
