"""Routes each action to a worker or to a one-shot process."""

from __future__ import annotations

from rpw_fixture.errors import RequestError
from rpw_fixture.events.actions import Mode
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution import action_records
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.job import Job
from rpw_fixture.execution.resolve import Resolver
from rpw_fixture.execution.routing import Route, Router
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers.lease import PoolFullError


class Routing:
    """Resolves an action, decides where it runs, logs that, and has it executed there.

    Args:
        resolver: finds what an action refers to.
        router: decides.
        log: gets the decisions.
        worker: executes actions on workers.
        one_shot: executes each action in a new process.
    """

    def __init__(
        self,
        *,
        resolver: Resolver,
        router: Router,
        log: EventLog,
        worker: Executor,
        one_shot: Executor,
    ) -> None:
        self.worker = worker
        self.one_shot = one_shot
        self._resolver = resolver
        self._router = router
        self._log = log

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        """See `Executor.execute`."""
        self._set_route(job, self._choose(job))
        job.token.check()
        job.execution.enter(reapi.ExecutionStage.EXECUTING)
        if job.progress.route.mode is not Mode.WORKER:
            return self.one_shot.execute(job)
        try:
            return self.worker.execute(job)
        except PoolFullError as error:
            if not error.is_one_shot:
                raise
            full = Route(
                mode=Mode.ONE_SHOT,
                reason=error.message,
                asks_for_worker=True,
                tool_inputs=job.progress.route.tool_inputs,
            )
            self._set_route(job, full)
        return self.one_shot.execute(job)

    def _choose(self, job: Job) -> Route:
        """Resolve the action and choose its route.

        Raises:
            RequestError: for an action that can't be run; the refusal is logged as a route.
        """
        try:
            action = self._resolver.resolve(job.digest, job.action, job.store, job.instance_name)
            job.progress.resolved = action
            return self._router.route(action, job.identity.mnemonic)
        except RequestError as error:
            reason = f"refused, {error.code.name}: {error.message}"
            self._set_route(job, Route(mode=Mode.ONE_SHOT, reason=reason))
            raise

    def _set_route(self, job: Job, route: Route) -> None:
        job.progress.route = route
        self._log.append(action_records.routed(job))
