"""Executes actions as requests to persistent workers."""

from __future__ import annotations

import contextlib
import itertools
from functools import partial

from rpw_fixture.config import Config
from rpw_fixture.events.kinds import ActionRetried, ProtocolViolation
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution import response
from rpw_fixture.execution.job import Job
from rpw_fixture.execution.protocol_finder import ProtocolFinder, ProtocolSettledError
from rpw_fixture.execution.protocol_mismatch import note_on
from rpw_fixture.execution.results import RunResult
from rpw_fixture.execution.staging.exec_roots import output_parents
from rpw_fixture.execution.worker_flagfiles import request_arguments
from rpw_fixture.execution.worker_request import WorkerRequests
from rpw_fixture.execution.worker_task import WorkerTask
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.lease import Lease
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.personalities.rules import Personality


class PersistentExecutor:
    """Leases a worker, has it serve the action, and tries another one where that can help.

    Args:
        config: limits.
        rules: the personality's.
        log: gets violations and retries.
        requests: leases workers and sends requests.
        finder: serves actions that don't say which protocol their worker speaks.
    """

    def __init__(
        self,
        *,
        config: Config,
        rules: Personality,
        log: EventLog,
        requests: WorkerRequests,
        finder: ProtocolFinder,
    ) -> None:
        self._config = config
        self._rules = rules
        self._log = log
        self._requests = requests
        self._finder = finder

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        """Execute an action on a worker of its route's key.

        Raises:
            RequestError: of the action (a flagfile that is not an input), or CANCELLED.
            WorkerFailure: of the worker.
            PoolFullError: when there is no worker for it, and actions do not wait.
        """
        progress = job.progress
        task = self._task(job)
        progress.timeline.reach("input_fetch_start")
        result = progress.result = self._serve(task)
        if progress.route.is_protocol_open:
            key = result.key or task.key
            progress.route = progress.route._replace(key=key)
        return response.completed(job)

    def _task(self, job: Job) -> WorkerTask:
        action, route = job.progress.action, job.progress.route
        if route.key is None:
            raise ValueError("the route leads to no worker")
        return WorkerTask(
            identity=job.identity,
            action=action,
            key=route.key,
            is_protocol_open=route.is_protocol_open,
            arguments=request_arguments(action, route.flagfiles, self._rules),
            parents=output_parents(action),
            progress=job.progress,
            token=job.token,
            turn=job.turn,
        )

    def _serve(self, task: WorkerTask) -> RunResult:
        for retries in itertools.count():
            if task.is_protocol_open:
                task = self._finder.settled(task)
            result = None
            with contextlib.suppress(ProtocolSettledError):
                result = self._attempt(task, retries)
            if result is not None:
                return result
        raise AssertionError("not reached")

    def _attempt(self, task: WorkerTask, retries: int) -> RunResult | None:
        """Have one worker serve the task; return None when another one should try."""
        is_open = task.is_protocol_open
        serve = self._finder.serve if is_open else self._requests.serve
        check = partial(self._finder.check, task) if is_open else None
        with self._requests.lease(task, before_start=check) as lease:
            task.progress.assign(lease.worker.number, is_reused=lease.is_reused)
            task.progress.timeline.reach("input_fetch_start")  # until now it waited for the worker
            try:
                return serve(lease, task)
            except WorkerFailure as failure:
                self._discard(lease, failure, task)
                task.token.check()
                reason = self._reason_to_retry(failure, retries, is_reused=lease.is_reused)
                if reason is None:
                    note = self._protocol_note(failure, lease, is_open=is_open)
                    raise (failure.with_note(note) if note else failure) from None
                self._log_retry(lease, task, reason)
                return None

    def _protocol_note(self, failure: WorkerFailure, lease: Lease, *, is_open: bool) -> str:
        """Return a hint that the worker may use the other protocol; empty if both were tried."""
        if is_open or lease.worker.has_answered or failure.was_unread:
            return ""
        return note_on(failure, lease.worker.key.protocol, self._rules)

    def _discard(self, lease: Lease, failure: WorkerFailure, task: WorkerTask) -> None:
        """End the worker that failed."""
        reason = str(failure.rule)
        if failure.is_violation:
            reason = f"{Retirement.PROTOCOL_VIOLATION}: {failure.rule}"
            self._log.append(
                ProtocolViolation(
                    worker=lease.worker.number,
                    rule=failure.rule,
                    detail=failure.detail,
                    operation=task.identity.operation,
                )
            )
        elif task.token.is_cancelled:
            reason = Retirement.CANCELLED
        elif failure.was_unread and lease.is_reused:
            reason = Retirement.CRASHED_IDLE
        lease.discard(reason)

    def _reason_to_retry(
        self, failure: WorkerFailure, retries: int, *, is_reused: bool
    ) -> str | None:
        """Return why the action should be sent to another worker; None when it should not.

        A reused worker that read nothing of the request had failed before, between requests: it had
        ended, or made its folder unusable. So had one that read other requests, though this action
        started it. Any other fresh worker that reads nothing would fail again.
        """
        if failure.was_unread and (is_reused or failure.had_read_others):
            return failure.rule if failure.is_violation else Retirement.CRASHED_IDLE
        if failure.rule == Retirement.OTHER_PROTOCOL:
            return f"{failure.rule}: {failure.detail}"
        can_retry = self._config.retry_crashed_worker and not retries
        if can_retry and failure.rule == Retirement.CRASH:
            return f"{failure.rule}: {failure.detail} (retry_crashed_worker)"
        return None

    def _log_retry(self, lease: Lease, task: WorkerTask, reason: str) -> None:
        self._log.append(
            ActionRetried(
                action=task.identity.digest,
                operation=task.identity.operation,
                worker=lease.worker.number,
                reason=reason,
            )
        )
