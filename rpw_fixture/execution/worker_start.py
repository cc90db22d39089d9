"""Starts workers: makes the folder, starts the process with its pipes, and sets up the protocol."""

from __future__ import annotations

from rpw_fixture.config import Config
from rpw_fixture.errors import Code
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.staging.changes import FolderWatcher
from rpw_fixture.execution.staging.exec_roots import (
    ExecRoot,
    PrivateRoot,
    SandboxedRoot,
    SharedRoot,
)
from rpw_fixture.execution.staging.placed import Parents
from rpw_fixture.faults.registry import Slot
from rpw_fixture.launching.launch import Launch, Launcher
from rpw_fixture.launching.start_errors import status_of_failed_start
from rpw_fixture.processes.spawner import StartError
from rpw_fixture.support.beneath import Beneath, OwnFolder
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.removal import discard, make_new
from rpw_fixture.support.thread_pool import ThreadStartError
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.fault_injection import FaultInjectingConversation
from rpw_fixture.workers.key import Ability, WorkerKey
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.multiplex import Multiplex
from rpw_fixture.workers.personalities.rules import JsonEnd, Personality, Roots
from rpw_fixture.workers.process_pipes import ProcessPipes, make_pipes
from rpw_fixture.workers.protocol import Connection
from rpw_fixture.workers.singleplex import Singleplex
from rpw_fixture.workers.worker import Worker


class WorkerStarter(Closeable):
    """Starts workers, each in a new folder, and removes the folder after the worker has ended.

    Args:
        config: limits.
        rules: the personality's.
        launcher: starts processes.
        folder: folder of all workers' folders.
        faults: faults that tests arm for workers.
    """

    def __init__(
        self,
        config: Config,
        rules: Personality,
        launcher: Launcher,
        folder: OwnFolder,
        faults: Slot,
    ) -> None:
        self._config = config
        self._rules = rules
        self._launcher = launcher
        self._folder = folder
        self._faults = faults
        self._roots: dict[int, ExecRoot] = {}
        self._watcher = FolderWatcher()

    def close(self) -> None:
        """Stop watching folders; all workers must have ended."""
        self._watcher.close()

    def start(
        self, number: int, key: WorkerKey, action: ResolvedAction, parents: Parents
    ) -> Worker:
        """Start a worker in a folder that holds the inputs of its first action.

        Args:
            number: number of the worker.
            key: key of the actions that it may serve.
            action: its first action.
            parents: folders of the first action's outputs.

        Raises:
            WorkerFailure: the process could not be started.
            RequestError, BlobMissingError, OSError: as `StagedRoot.stage`.
        """
        folder = self._folder.at(f"worker-{number}")
        path = folder.below("root")
        make_new(folder)
        path.make()
        try:
            root = self._exec_root(key, path)
            root.first(action, parents)
            worker = self._spawn(number, key, folder)
        except BaseException:
            discard(folder)
            raise
        self._roots[number] = root
        return worker

    def _spawn(self, number: int, key: WorkerKey, folder: Beneath) -> Worker:
        pipes = self._launch(number, key, folder)
        conversation = self._conversation(key, pipes)
        return Worker(
            number=number,
            key=key,
            pipes=pipes,
            conversation=FaultInjectingConversation(conversation, pipes, self._faults),
            slots=self._config.max_multiplex if key.is_multiplex else 1,
            folder=folder.path,
        )

    def _launch(self, number: int, key: WorkerKey, folder: Beneath) -> ProcessPipes:
        command = Launch(
            argv=key.startup_arguments,
            environment=dict(key.environment),
            root=folder.below("root").path,
            working_directory=key.working_directory,
            private=folder.below("private").path,
            container=key.container,
            purpose=f"worker {number}",
        )
        pipes, theirs = make_pipes()
        try:
            process = self._launcher.launch(
                command, stdin=theirs.stdin, stdout=theirs.stdout, stderr=theirs.stderr
            )
        except (FileNotFoundError, PermissionError, StartError) as error:
            pipes.close()
            code = status_of_failed_start(error)
            raise WorkerFailure(
                worker=number,
                rule=str(Retirement.START_FAILED),
                detail=str(error),
                code=Code.FAILED_PRECONDITION if code is Code.OK else code,
            ) from None
        finally:
            theirs.close()
        return ProcessPipes(number, process, pipes, self._config.worker_start_timeout)

    def _conversation(self, key: WorkerKey, pipes: ProcessPipes) -> Multiplex | Singleplex:
        speak = Multiplex if key.is_multiplex else Singleplex
        try:
            return speak(
                pipes,
                self._connection(key),
                takes_cancel=Ability.CANCELLATION in key.abilities,
                cancel_grace=self._config.cancel_grace,
            )
        except ThreadStartError:
            pipes.kill()
            pipes.wait_for_exit()
            pipes.close()
            raise

    def _connection(self, key: WorkerKey) -> Connection:
        rules = self._rules
        return Connection(
            encoding(
                key.protocol,
                rules.json_always.value,
                json_by_line=rules.json_end.value is JsonEnd.LINE,
            ),
            self._config.max_frame_bytes,
            checks_request_id=key.is_multiplex or rules.checks_request_id.value,
            checks_was_cancelled=rules.checks_was_cancelled.value,
        )

    def _exec_root(self, key: WorkerKey, path: Beneath) -> ExecRoot:
        tools = frozenset(each.path for each in key.tool_inputs.files)
        if not key.is_multiplex:
            if self._rules.roots.value is Roots.SANDBOX_DIR:
                return SandboxedRoot(path, self._watcher, tools, is_absolute=True)
            return PrivateRoot(path, self._watcher, self._rules.leftovers.value)
        if Ability.SANDBOX in key.abilities:
            return SandboxedRoot(path, self._watcher, tools)
        return SharedRoot(path, self._watcher)

    def root_of(self, worker: Worker) -> ExecRoot:
        """Return the input root, or roots, of a worker."""
        return self._roots[worker.number]

    def clean_up(self, worker: Worker) -> None:
        """Remove the folder of a worker that has ended."""
        self._roots.pop(worker.number, None)
        discard(self._folder.at(f"worker-{worker.number}"))
