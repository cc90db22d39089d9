"""Executes each action one-shot: in a new process that ends with it."""

from __future__ import annotations

import contextlib
import itertools
import time

from rpw_fixture.config import Config
from rpw_fixture.errors import RequestError
from rpw_fixture.execution import command_run, response
from rpw_fixture.execution.job import Job
from rpw_fixture.execution.outputs import collect
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.results import RunResult
from rpw_fixture.execution.staging.exec_roots import output_parents
from rpw_fixture.execution.staging.staged_root import StagedRoot
from rpw_fixture.launching.container_command import container_properties
from rpw_fixture.launching.launch import Launch, Launcher
from rpw_fixture.support import cpu_affinity
from rpw_fixture.support.beneath import Beneath, OwnFolder
from rpw_fixture.support.removal import discard, make_new
from rpw_fixture.wire.protos import remote_execution as reapi


class OneShotExecutor:
    """Stages an action's inputs in a new folder, runs its command there, and collects its outputs.

    Args:
        config: limits.
        launcher: starts processes.
        folder: folder of all actions' folders.
    """

    def __init__(self, config: Config, launcher: Launcher, folder: OwnFolder) -> None:
        self._config = config
        self._launcher = launcher
        self._folder = folder
        self._numbers = itertools.count(1)

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        """See `Executor.execute`."""
        progress, action = job.progress, job.progress.action
        root, private = self._make_folders(job)
        progress.timeline.reach("input_fetch_start")
        StagedRoot(root).stage(action.root, output_parents(action), action.store)
        progress.timeline.reach("input_fetch_completed")
        result = progress.result = self._run(job, root, private)
        # A killed command may leave anything; the client needs to know that its time was up.
        with contextlib.suppress(RequestError) if result.timed_out else contextlib.nullcontext():
            progress.outputs = collect(
                root,
                progress.action.command,
                progress.action.store,
                timeline=progress.timeline,
                absolute_symlinks=self._config.absolute_symlinks,
            )
        return response.completed(job)

    def _make_folders(self, job: Job) -> tuple[Beneath, Beneath]:
        """Return the input root and the private folder; they are removed after the reply."""
        root = self._folder.at(f"action-{next(self._numbers)}")
        make_new(root)
        private = self._folder.at(f"{root.name}.private")
        for folder in (root, private):
            job.progress.after_reply.callback(discard, folder)
        job.progress.after_reply.callback(cpu_affinity.give_way)
        return root, private

    def _run(self, job: Job, root: Beneath, private: Beneath) -> RunResult:
        action, timeline = job.progress.action, job.progress.timeline
        timeline.reach("execution_start")
        result = command_run.run(
            _launch(action, root, private),
            launcher=self._launcher,
            deadline=time.monotonic() + action.timeout,
            token=job.token,
            max_output_bytes=self._config.max_output_bytes,
        )
        timeline.reach("execution_completed")
        return result


def _launch(action: ResolvedAction, root: Beneath, private: Beneath) -> Launch:
    return Launch(
        argv=action.command.arguments,
        environment=dict(action.command.environment),
        root=root.path,
        working_directory=action.command.working_directory,
        private=private.path,
        container=container_properties(action.properties),
        purpose=f"action {action.digest}",
    )
