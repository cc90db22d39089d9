"""All that executes actions, put together: what services ask, and what a server resets and stops."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from rpw_fixture.config import Config
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution.operation import Operation
from rpw_fixture.execution.outputs import Outputs
from rpw_fixture.execution.resolve import ResolvedAction, Resolver
from rpw_fixture.execution.results import RunResult
from rpw_fixture.execution.routing import Route
from rpw_fixture.execution.runner import ActionRunner, OnServed
from rpw_fixture.execution.scheduler import Job, Scheduler
from rpw_fixture.faults.registry import Slot
from rpw_fixture.launching import isolation
from rpw_fixture.processes.spawner import Spawner
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.support import globs
from rpw_fixture.support.beneath import OwnFolder
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.harmless import harmless
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers import personalities
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.lifecycle import Retirement

#: How long killed workers may take to be gone, seconds.
_PATIENCE = 10.0


class Engine(Closeable):
    """Executes actions until it is closed.

    Args:
        config: limits and policies.
        log: gets the records.
        folder: of the server; the spawner removes it should this process be killed.
        work: an empty folder in it, for actions and workers.
        results: the action cache.
        worker_faults: strike requests to workers.

    Raises:
        ConfigError: for settings that this machine can't meet.
    """

    def __init__(
        self,
        *,
        config: Config,
        log: EventLog,
        folder: Path,
        work: Path,
        results: CompleteResults,
        worker_faults: Slot,
    ) -> None:
        with ExitStack() as undo:
            spawner = undo.enter_context(Spawner(str(folder)))
            launcher = undo.enter_context(isolation.launching(config, log, spawner))
            self._resolver = Resolver(config)
            self._index = InputIndex(globs.matcher(config.tool_inputs))
            self._runner = ActionRunner(
                config=config,
                log=log,
                resolver=self._resolver,
                index=self._index,
                launcher=launcher,
                folder=undo.enter_context(OwnFolder(str(work))),
                results=results,
                worker_faults=worker_faults,
                on_served=_recorder(config, log, undo),
            )
            undo.callback(self._runner.persistent.close)
            self._scheduler = Scheduler(
                self._runner.run,
                jobs=config.jobs,
                grace=config.operation_grace,
                abandoned_timeout=config.abandoned_timeout,
                on_room=self._runner.persistent.pool.serve_waiting,
            )
            self._undo = undo.pop_all()

    def execute(
        self,
        digest: Digest,
        store: BlobStore,
        request: reapi.ExecuteRequest,
        metadata: reapi.RequestMetadata,
    ) -> Operation:
        """Has an action executed, or joins an execution of the same action that is under way.

        Args:
            digest: of the Action.
            store: blobs under its digest function.
            request: says how the client wants it.
            metadata: what the client says of itself.

        Raises:
            BlobMissingError: when the Action is not in the store.
            RequestError: INVALID_ARGUMENT when it is none, UNAVAILABLE when the server is stopping.
        """
        return self._scheduler.submit(
            digest=digest,
            action=self._resolver.decode_action(digest, store),
            store=store,
            request=request,
            metadata=metadata,
        )

    def find(self, name: str) -> Operation:
        """See `Scheduler.find`."""
        return self._scheduler.find(name)

    def cancel(self, name: str) -> None:
        """See `Scheduler.cancel`."""
        self._scheduler.cancel(name)

    def live_stderr(self) -> dict[int, str]:
        """The end of what each living worker wrote to stderr, by its number."""
        alive = self._runner.persistent.pool.alive
        return {worker.number: worker.stderr.text for worker in alive}

    def reset(self) -> None:
        """Cancels everything, forgets everything and ends all workers."""
        self._scheduler.clear()
        self._resolver.clear()
        self._index.clear()
        self._runner.clear()
        self._runner.persistent.pool.empty(Retirement.RESET, _PATIENCE)

    def stop(self, grace: float) -> None:
        """Takes no more actions; those that run get ``grace`` seconds."""
        self._scheduler.close(grace)

    def close(self) -> None:
        """Ends all processes; nothing may run any more."""
        self._scheduler.close(0)
        self._undo.close()


def _recorder(config: Config, log: EventLog, undo: ExitStack) -> OnServed | None:
    """What writes a recording of all worker actions, if one is wanted."""
    if config.record is None:
        return None
    from rpw_fixture.execution.recorder import Recorder  # noqa: PLC0415 - few servers record

    rules = personalities.find(config.personality)
    recorder = Recorder(Path(config.record), rules.flagfile_base.value)
    undo.callback(recorder.close)

    def record(
        job: Job, action: ResolvedAction, chosen: Route, result: RunResult, outputs: Outputs
    ) -> None:
        recorder.add(
            action,
            chosen,
            mnemonic=job.metadata.action_mnemonic,
            target=job.metadata.target_id,
            sent=result.sent,
            exit_code=result.exit_code,
            outputs=outputs.files,
        )

    return harmless(f"--record {config.record}", record, log.append_bug)
