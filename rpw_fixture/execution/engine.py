"""The engine: executes actions, as the services and the server see it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack

from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.operation import Operation
from rpw_fixture.execution.resolve import Resolver
from rpw_fixture.execution.scheduler import Scheduler
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.support.closing import Closeable
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.pool import WorkerPool

#: How long to wait for the end of killed workers, seconds.
_PATIENCE = 10.0


class Engine(Closeable):
    """Executes actions until it is closed. It builds nothing; see `rpw_fixture.server.engine`.

    Args:
        resolver: decodes Actions.
        scheduler: decides when each action runs.
        executor: executes each action that the scheduler chooses.
        pool: of the workers.
        forget: each clears one memory of actions.
        resources: closed with the engine, after its last action.

    Attributes:
        executor, scheduler: as given.
    """

    def __init__(
        self,
        *,
        resolver: Resolver,
        scheduler: Scheduler,
        executor: Executor,
        pool: WorkerPool,
        forget: Sequence[Callable[[], None]],
        resources: ExitStack,
    ) -> None:
        self.executor = executor
        self._resolver = resolver
        self.scheduler = scheduler
        self._pool = pool
        self._forget = forget
        self._resources = resources

    def execute(
        self,
        digest: Digest,
        store: BlobStore,
        request: reapi.ExecuteRequest,
        metadata: reapi.RequestMetadata,
    ) -> Operation:
        """Execute an action, or join an execution of the same action that is not over.

        Args:
            digest: of the Action.
            store: blobs under its digest function.
            request: the client's request.
            metadata: the client's RequestMetadata.

        Raises:
            BlobMissingError: the Action is not in the store.
            RequestError: INVALID_ARGUMENT when the blob is not an Action, UNAVAILABLE when the server
                is stopping.
        """
        return self.scheduler.submit(
            digest=digest,
            action=self._resolver.decode_action(digest, store),
            store=store,
            request=request,
            metadata=metadata,
        )

    def find(self, name: str) -> Operation:
        """Return an operation; see `Scheduler.find`."""
        return self.scheduler.find(name)

    def cancel(self, name: str) -> None:
        """Cancel an operation; see `Scheduler.cancel`."""
        self.scheduler.cancel(name)

    def live_stderr(self) -> dict[int, str]:
        """Return the end of what each live worker wrote to stderr, by the worker's number."""
        return {worker.number: worker.stderr.text for worker in self._pool.alive}

    def reset(self) -> None:
        """Cancel and forget all actions, and end all workers."""
        self.scheduler.clear()
        for forget in self._forget:
            forget()
        self._pool.empty(Retirement.RESET, _PATIENCE)

    def stop(self, grace: float) -> None:
        """Take no more actions; those that run get ``grace`` seconds."""
        self.scheduler.close(grace)

    def close(self) -> None:
        """Cancel what still runs, and end all processes."""
        self.scheduler.close(0)
        self._resources.close()
