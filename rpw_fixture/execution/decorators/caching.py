"""Takes results from the action cache where it has them, and keeps new ones there."""

from __future__ import annotations

import contextlib

from rpw_fixture.errors import RequestError
from rpw_fixture.events.actions import Mode
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution import action_records, response
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.job import Job
from rpw_fixture.execution.routing import Route
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.wire.protos import remote_execution as reapi

_CACHED = Route(mode=Mode.CACHE, reason="the action cache has a result")


class Caching:
    """Looks an action up in the action cache, and keeps there the results of those that run.

    Args:
        inner: executes the actions that are not in the cache.
        results: the action cache.
        log: gets a record of each action whose result is there.
    """

    def __init__(self, inner: Executor, results: CompleteResults, log: EventLog) -> None:
        self.inner = inner
        self._results = results
        self._log = log

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        """See `Executor.execute`."""
        job.token.check()
        return self._look_up(job) or self._run(job)

    def _look_up(self, job: Job) -> reapi.ExecuteResponse | None:
        if job.skip_cache_lookup or job.action.do_not_cache:
            return None
        job.execution.enter(reapi.ExecutionStage.CACHE_CHECK)
        known = self._results.get(job.instance_name, job.store.function, job.digest)
        if known is None:
            return None
        job.progress.route = _CACHED
        self._log.append(action_records.routed(job))
        return response.cached(known)

    def _run(self, job: Job) -> reapi.ExecuteResponse:
        done = self.inner.execute(job)
        if response.is_cacheable(done) and not job.action.do_not_cache:
            self._keep(job, done)
        return done

    def _keep(self, job: Job, done: reapi.ExecuteResponse) -> None:
        """Put the result into the cache, metadata included; if the disk is full, it is not kept."""
        with contextlib.suppress(RequestError):
            self._results.put(
                job.instance_name,
                job.store.function,
                job.digest,
                done.result.SerializeToString(),
            )
