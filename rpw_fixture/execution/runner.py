"""The way of an action: look-up, resolve, route, stage, run, collect, reply.

One action passes through `ActionRunner.run` from top to bottom; nothing else executes anything.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import itertools
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from rpw_fixture.config import Config
from rpw_fixture.errors import Code, RequestError, invalid_argument, resource_exhausted
from rpw_fixture.events.kinds import ActionCompleted, ActionRouted, FileRecord
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution import one_shot
from rpw_fixture.execution import response as reply
from rpw_fixture.execution.outputs import Outputs, collect
from rpw_fixture.execution.persistent import PersistentRunner
from rpw_fixture.execution.resolve import ResolvedAction, Resolver
from rpw_fixture.execution.results import RunResult, Timeline
from rpw_fixture.execution.routing import Route, Router
from rpw_fixture.execution.scheduler import Job
from rpw_fixture.execution.staging.exec_roots import output_parents
from rpw_fixture.execution.staging.staged_root import StagedRoot
from rpw_fixture.execution.worker_start import WorkerStarter
from rpw_fixture.faults.registry import Slot
from rpw_fixture.launching.container_command import container_properties
from rpw_fixture.launching.launch import Launch, Launcher
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.support import cpu_affinity
from rpw_fixture.support.beneath import Beneath, OwnFolder
from rpw_fixture.support.removal import discard, make_new
from rpw_fixture.wire.digests import digest_of
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.workers import personalities
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.pool import PoolFullError
from rpw_fixture.workers.protocol_memory import ProtocolMemory

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOMEM: "out of memory",
    errno.EAGAIN: "too many processes",
}
_TOO_LONG = {errno.ENAMETOOLONG, errno.ELOOP}


@dataclass(slots=True, kw_only=True)
class _Course:
    """What is known of an action while it is on its way, for the record at the end."""

    timeline: Timeline
    began: float = field(default_factory=time.monotonic)
    mode: str = "one-shot"
    reason: str = ""
    worker: int | None = None
    is_reused: bool = False
    is_cacheable: bool = False
    result: RunResult | None = None
    outputs: Outputs = field(default_factory=Outputs)
    afterwards: ExitStack = field(default_factory=ExitStack)

    def give_to(self, worker: int, *, is_reused: bool) -> None:
        """Notes which worker serves the action, whatever will come of it."""
        self.worker, self.is_reused = worker, is_reused


_CACHED = Route(mode="cache", reason="the action cache has a result")
#: Told of every action that ran on a worker: the job, the action, its route, and what came of it.
OnServed = Callable[[Job, ResolvedAction, Route, RunResult, Outputs], None]


class ActionRunner:
    """Executes actions.

    Args:
        config: limits and policies.
        log: gets the records.
        resolver, index: shared memories of decoded content.
        launcher: starts processes.
        folder: where actions and workers get their folders.
        results: the action cache.
        worker_faults: strike requests to workers.
        on_served: told of every action that a worker served, before the client is.
    """

    def __init__(
        self,
        *,
        config: Config,
        log: EventLog,
        resolver: Resolver,
        index: InputIndex,
        launcher: Launcher,
        folder: OwnFolder,
        results: CompleteResults,
        worker_faults: Slot,
        on_served: OnServed | None = None,
    ) -> None:
        self._config = config
        self._log = log
        self._resolver = resolver
        self._launcher = launcher
        self._folder = folder
        self._results = results
        self._on_served = on_served
        self._numbers = itertools.count(1)
        rules = personalities.find(config.personality)
        protocols = ProtocolMemory()
        self._router = Router(config, index, rules, protocols)
        self.persistent = PersistentRunner(
            config=config,
            rules=rules,
            log=log,
            index=index,
            starter=WorkerStarter(config, rules, launcher, folder, worker_faults),
            protocols=protocols,
        )

    def clear(self) -> None:
        """Forgets how actions were routed."""
        self._router.clear()

    def run(self, job: Job) -> None:
        """Executes a job and gives its execution the response; raises nothing."""
        course = _Course(timeline=job.execution.timeline)
        course.timeline.reach("worker_start")
        try:
            with course.afterwards:
                self._finish(job, course, self._respond(job, course))
        except Exception as error:  # noqa: BLE001 - what the action left can't be removed, or worse
            self._bug(error, job)

    def _respond(self, job: Job, course: _Course) -> reapi.ExecuteResponse:
        """The response to a job, whatever becomes of it."""
        try:
            return self._run(job, course)
        except RequestError as error:
            return _failed(error, job, course)
        except OSError as error:
            return _failed(self._told(error, job), job, course)
        except Exception as error:  # noqa: BLE001 - a bug of ours must still answer the client
            return _failed(self._bug(error, job), job, course)

    def _finish(self, job: Job, course: _Course, response: reapi.ExecuteResponse) -> None:
        course.timeline.reach("worker_completed")
        if not response.cached_result:
            reply.add_metadata(response, course.mode, course.result, course.timeline)
        if course.is_cacheable:
            self._keep(job, response)
        self._record(job, course, response)
        job.execution.finish(response)

    def _run(self, job: Job, course: _Course) -> reapi.ExecuteResponse:
        job.execution.token.check()
        if not job.skip_cache_lookup and not job.action.do_not_cache:
            job.execution.enter(reapi.ExecutionStage.CACHE_CHECK)
            known = self._results.get(job.instance_name, job.store.function, job.digest)
            if known is not None:
                self._take(job, course, _CACHED)
                return reply.cached(known)
        action, chosen = self._route(job, course)
        job.execution.token.check()
        job.execution.enter(reapi.ExecutionStage.EXECUTING)
        way = self._run_on_worker if chosen.mode == "worker" else self._run_once
        course.result = way(job, action, chosen, course)
        if chosen.is_protocol_open:
            chosen = dataclasses.replace(chosen, key=course.result.key or chosen.key)
        if self._on_served is not None and course.mode == "worker":
            self._on_served(job, action, chosen, course.result, course.outputs)
        response = reply.completed(course.result, course.outputs, action)
        course.is_cacheable = reply.is_cacheable(response) and not action.do_not_cache
        return response

    def _route(self, job: Job, course: _Course) -> tuple[ResolvedAction, Route]:
        """Resolve the action and decide where it runs; a refusal is a route to nowhere, and told.

        Raises:
            RequestError: for an action that can't be run.
        """
        try:
            action = self._resolver.resolve(job.digest, job.action, job.store, job.instance_name)
            chosen = self._router.route(action, job.metadata.action_mnemonic)
        except RequestError as error:
            reason = f"refused, {error.code.name}: {error.message}"
            self._take(job, course, Route(mode="one-shot", reason=reason))
            raise
        self._take(job, course, chosen)
        return action, chosen

    def _run_on_worker(
        self, job: Job, action: ResolvedAction, chosen: Route, course: _Course
    ) -> RunResult:
        try:
            return self.persistent.run(
                action,
                chosen,
                operation=job.operation,
                metadata=job.metadata,
                timeline=course.timeline,
                token=job.execution.token,
                turn=job.turn,
                on_worker=course.give_to,
                collect=lambda root: self._collect(root, action, course),
            )
        except PoolFullError as error:
            if not error.is_one_shot:
                raise
            instead = Route(mode="one-shot", reason=error.message)
            self._take(job, course, instead)
            return self._run_once(job, action, instead, course)

    def _run_once(
        self, job: Job, action: ResolvedAction, _chosen: Route, course: _Course
    ) -> RunResult:
        root = self._folder.at(f"action-{next(self._numbers)}")
        make_new(root)
        private = self._folder.at(f"{root.name}.private")
        for folder in (root, private):
            course.afterwards.callback(discard, folder)
        course.afterwards.callback(cpu_affinity.give_way)  # the client is told before that
        course.timeline.reach("input_fetch_start")
        StagedRoot(root).stage(action.root, output_parents(action), action.store)
        course.timeline.reach("input_fetch_completed")
        course.timeline.reach("execution_start")
        command = Launch(
            argv=action.command.arguments,
            environment=dict(action.command.environment),
            root=root.path,
            working_directory=action.command.working_directory,
            private=private.path,
            container=container_properties(action.properties),
            purpose=f"action {action.digest}",
        )
        result = one_shot.run(
            command,
            launcher=self._launcher,
            deadline=time.monotonic() + action.timeout,
            token=job.execution.token,
            max_output_bytes=self._config.max_output_bytes,
        )
        course.timeline.reach("execution_completed")
        course.result = result
        # What a killed command leaves may be anything; that its time was up is what matters.
        with contextlib.suppress(RequestError) if result.timed_out else contextlib.nullcontext():
            self._collect(root, action, course)
        return result

    def _collect(self, root: Beneath, action: ResolvedAction, course: _Course) -> None:
        course.timeline.reach("output_upload_start")
        course.outputs = collect(
            root,
            action.command,
            action.store,
            absolute_symlinks=self._config.absolute_symlinks,
        )
        course.timeline.reach("output_upload_completed")

    def _keep(self, job: Job, response: reapi.ExecuteResponse) -> None:
        """Puts the result, metadata included, into the action cache; a full disk loses only that."""
        with contextlib.suppress(RequestError):
            self._results.put(
                job.instance_name,
                job.store.function,
                job.digest,
                response.result.SerializeToString(),
            )

    def _take(self, job: Job, course: _Course, chosen: Route) -> None:
        """Note which way the action goes."""
        course.mode, course.reason = chosen.mode, chosen.reason
        key = chosen.key
        self._log.append(
            ActionRouted(
                action=str(job.digest),
                operation=job.operation,
                mnemonic=job.metadata.action_mnemonic,
                target=job.metadata.target_id,
                invocation=job.metadata.tool_invocation_id,
                mode=chosen.mode,
                reason=chosen.reason,
                key=key.digest if key is not None else None,
                key_components=key.components if key is not None else (),
            )
        )

    def _record(self, job: Job, course: _Course, response: reapi.ExecuteResponse) -> None:
        result = course.result
        files = course.outputs.files
        if response.cached_result:
            files = [
                FileRecord(each.path, str(digest_of(each.digest)))
                for each in response.result.output_files
            ]
        self._log.append(
            ActionCompleted(
                action=str(job.digest),
                operation=job.operation,
                mnemonic=job.metadata.action_mnemonic,
                target=job.metadata.target_id,
                mode=course.mode,
                reason=course.reason,
                worker=course.worker,
                reused=course.is_reused,
                exit_code=_exit_code(result, response),
                cached=response.cached_result,
                seconds=time.monotonic() - course.began,
                outputs=tuple(files),
                status=Code(response.status.code).name,
                message=response.status.message,
            )
        )

    def _told(self, error: OSError, job: Job) -> RequestError:
        """What a failing file system means to the client."""
        what = _FULL.get(error.errno or 0)
        if what is not None:
            return resource_exhausted(f"{what}: {error}")
        if error.errno in _TOO_LONG:
            return invalid_argument(f"a path of the action is too long for this system: {error}")
        return self._bug(error, job)

    def _bug(self, error: Exception, job: Job) -> RequestError:
        self._log.append_bug(f"execution of action {job.digest}", error)
        return RequestError(Code.INTERNAL, f"internal error while executing: {error!r}")


def _failed(error: RequestError, job: Job, course: _Course) -> reapi.ExecuteResponse:
    return reply.failed(error, course.result, course.outputs, job.store)


def _exit_code(result: RunResult | None, response: reapi.ExecuteResponse) -> int | None:
    if response.cached_result:
        return response.result.exit_code
    return None if result is None or result.timed_out else result.exit_code
