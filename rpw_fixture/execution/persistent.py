"""Running an action as a request to a persistent worker."""

from __future__ import annotations

import contextlib
import errno
import itertools
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from rpw_fixture.config import Config
from rpw_fixture.errors import RequestError
from rpw_fixture.events.kinds import (
    ActionRetried,
    InputsChanged,
    ProtocolViolation,
    RequestCancelled,
    RequestSent,
    ResponseReceived,
)
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution.output_lookup import ROOT, OutputsChangedError
from rpw_fixture.execution.protocol_finder import ProtocolFinder, ProtocolSettledError
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.results import OnWorker, RunResult, Timeline
from rpw_fixture.execution.routing import Route
from rpw_fixture.execution.staging.exec_roots import Sandbox, output_parents
from rpw_fixture.execution.worker_start import WorkerStarter
from rpw_fixture.execution.worker_task import WorkerTask
from rpw_fixture.support.beneath import Beneath
from rpw_fixture.support.cancellation import CancelToken
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.flagfiles import FlagfileReader
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import Request, Response
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.personalities.rules import (
    Expansion,
    FlagfileBase,
    InputList,
    Personality,
    TextTo,
    WhenFull,
    WorkerStderr,
)
from rpw_fixture.workers.pool import WorkerPool
from rpw_fixture.workers.protocol_memory import ProtocolMemory
from rpw_fixture.workers.waiting import LeaseRequest, Turn
from rpw_fixture.workers.worker import Worker

#: What a worker did to its folder, so that the inputs of its next request can't be placed.
_GONE = "working directory gone"
_DISTURBED = "working directory disturbed"
_CHANGED = "outputs changed after the response"
_LEFTOVERS = "left what can't be removed"
#: How that shows.
_IN_THE_WAY = frozenset(
    {
        errno.ENOENT,
        errno.ENOTDIR,
        errno.EEXIST,
        errno.ENOTEMPTY,
        errno.EISDIR,
        errno.ELOOP,
        errno.EXDEV,
        errno.EBUSY,
        errno.EPERM,
        errno.EACCES,
    }
)


class PersistentRunner:
    """Runs actions on workers.

    Args:
        config: limits.
        rules: the personality's.
        log: requests, responses and violations are told here.
        index: lists inputs.
        starter: starts workers; closed with this.
        protocols: what workers were found to speak.
    """

    def __init__(
        self,
        *,
        config: Config,
        rules: Personality,
        log: EventLog,
        index: InputIndex,
        starter: WorkerStarter,
        protocols: ProtocolMemory,
    ) -> None:
        self._config = config
        self._rules = rules
        self._log = log
        self._index = index
        self._starter = starter
        self.pool = WorkerPool(
            config,
            log,
            starter.clean_up,
            when_full=WhenFull(config.when_full or rules.when_full.value),
            most_requests=config.worker_max_requests or rules.most_requests.value,
        )
        self._finder = ProtocolFinder(
            config=config,
            rules=rules,
            log=log,
            memory=protocols,
            acquire=self._acquire,
            pool=self.pool,
            serve=self._serve,
        )

    def run(
        self,
        action: ResolvedAction,
        route: Route,
        *,
        operation: str,
        metadata: reapi.RequestMetadata,
        timeline: Timeline,
        token: CancelToken,
        turn: Turn,
        on_worker: OnWorker,
        collect: Callable[[Beneath], None],
    ) -> RunResult:
        """Sends the action to a worker that fits.

        Args:
            action: what to run.
            route: names the worker's key and the flagfiles.
            operation: names the execution in events.
            metadata: what the client says of the action.
            timeline: gets the points in time.
            token: ends the waiting, and the worker.
            turn: given up while it waits for a worker.
            on_worker: told which worker serves the action, for each one that is tried.
            collect: called with the input root after the response, before the worker is
                given to anybody else.

        Raises:
            RequestError: of the action (a flagfile that is no input), or CANCELLED.
            WorkerFailure: of the worker.
        """
        key = route.key
        if key is None:
            raise ValueError("the route leads to no worker")
        task = WorkerTask(
            action=action,
            key=key,
            arguments=self._arguments(action, route),
            parents=output_parents(action),
            operation=operation,
            mnemonic=metadata.action_mnemonic,
            target=metadata.target_id,
            timeline=timeline,
            token=token,
            turn=turn,
            on_worker=on_worker,
            collect=collect,
            is_protocol_open=route.is_protocol_open,
        )
        timeline.reach("input_fetch_start")
        for retries in itertools.count():
            if task.is_protocol_open:
                task = self._finder.settled(task)
            result = None
            with contextlib.suppress(ProtocolSettledError):
                result = self._attempt(task, retries)
            if result is not None:
                return result
        raise AssertionError("not reached")

    def close(self) -> None:
        """Ends all workers; none may be at work any more."""
        self.pool.close()
        self._starter.close()

    def _arguments(self, action: ResolvedAction, route: Route) -> tuple[str, ...]:
        if self._rules.expansion.value is Expansion.RAW:
            return route.flagfiles
        reader = FlagfileReader(action.root, self._base_of(action), action.store.get)
        return tuple(flagfiles.expand(route.flagfiles, reader.read))

    def _base_of(self, action: ResolvedAction) -> str:
        """Return the folder to which paths in requests are relative."""
        is_from_root = self._rules.flagfile_base.value is FlagfileBase.INPUT_ROOT
        return "" if is_from_root else action.command.working_directory

    def _attempt(self, task: WorkerTask, retries: int) -> RunResult | None:
        """Has one worker serve the task; None when it failed and another one should."""
        worker, is_reused = self._acquire(task)
        task.on_worker(worker.number, is_reused=is_reused)
        serve = self._finder.serve if task.is_protocol_open else self._serve
        try:
            result = serve(worker, task, is_reused=is_reused)
        except WorkerFailure as failure:
            self._discard(worker, failure, task, is_reused=is_reused)
            task.token.check()
            reason = self._reason_to_retry(failure, retries, is_reused=is_reused)
            if reason is None:
                raise
            self._tell_retry(worker, task, reason)
            return None
        except BaseException:
            self.pool.release(worker)
            raise
        self.pool.release(worker)
        return result

    def _acquire(self, task: WorkerTask, *, is_extra: bool = False) -> tuple[Worker, bool]:
        client = LeaseRequest(
            action=str(task.action.digest),
            operation=task.operation,
            mnemonic=task.mnemonic,
            target=task.target,
            patience=task.action.timeout,
            token=task.token,
            turn=task.turn,
            is_extra=is_extra,
            before_start=partial(self._finder.check, task) if task.is_protocol_open else None,
        )
        return self.pool.acquire(
            task.key,
            lambda number, key: self._starter.start(number, key, task.action, task.parents),
            client,
        )

    def _serve(self, worker: Worker, task: WorkerTask, *, is_reused: bool) -> RunResult:
        rules, timeline = self._rules, task.timeline
        root = self._starter.root_of(worker)
        with contextlib.ExitStack() as stack:
            place = _entered(stack, root.place(task.action, task.parents, task.token), worker)
            if place.has_leftovers and is_reused:
                raise _staging_failure(worker, _LEFTOVERS, place.root.path)
            timeline.reach("input_fetch_completed")
            if place.changed:
                self._tell_changed(worker, task, place)
            request = self._request(worker, task, place)
            position = worker.stderr.total
            timeline.reach("execution_start")
            sent = time.time()
            response = self._call(worker, request, task)
            if task.on_answer is not None:
                task.on_answer(worker)
            timeline.reach("execution_completed")
            place.has_failed = response.exit_code != 0
            if not place.has_failed or rules.outputs_after_failure.value:
                _collect(task, place, worker)
        text, noise = response.output.encode(), worker.stderr.since(position)
        is_to_stdout = rules.response_text.value is TextTo.STDOUT
        is_noise_shown = rules.worker_stderr.value is WorkerStderr.ACTION
        is_noise_logged = rules.worker_stderr.value is WorkerStderr.SERVER_LOG
        return RunResult(
            exit_code=response.exit_code,
            stdout=text if is_to_stdout else b"",
            stderr=(b"" if is_to_stdout else text) + (noise if is_noise_shown else b""),
            worker=worker.number,
            is_reused=is_reused,
            key=worker.key,
            request_id=response.request_id,
            sent=sent,
            worker_stderr=noise if is_noise_logged else b"",
            max_rss_bytes=worker.peak_bytes,
        )

    def _request(self, worker: Worker, task: WorkerTask, place: Sandbox) -> Request:
        listing = self._rules.inputs.value
        base = self._base_of(task.action)
        return Request(
            arguments=task.arguments,
            inputs=self._index.encoded_inputs(
                task.action.root, encoding(worker.key.protocol), listing, base
            ),
            request_id=worker.new_request_id(),
            verbosity=self._config.worker_verbosity,
            sandbox_dir=place.sandbox_dir,
        )

    def _call(self, worker: Worker, request: Request, task: WorkerTask) -> Response:
        what: dict[str, Any] = {
            "worker": worker.number,
            "request_id": request.request_id,
            "action": str(task.action.digest),
            "operation": task.operation,
        }
        is_listed = self._rules.inputs.value is not InputList.NONE
        count = task.action.root.file_count if is_listed else 0
        self._log.append(RequestSent(**what, inputs=count))
        sent = time.monotonic()
        try:
            deadline = min(sent + task.action.timeout, task.latest)
            response = worker.call(request, deadline, task.token)
        except WorkerFailure:
            raise
        except RequestError as error:
            self._log.append(RequestCancelled(**what, reason=error.code.name))
            raise
        seconds = time.monotonic() - sent
        self._log.append(ResponseReceived(**what, exit_code=response.exit_code, seconds=seconds))
        return response

    def _discard(
        self, worker: Worker, failure: WorkerFailure, task: WorkerTask, *, is_reused: bool
    ) -> None:
        reason = str(failure.rule)
        if failure.is_violation:
            reason = f"{Retirement.PROTOCOL_VIOLATION}: {failure.rule}"
            self._log.append(
                ProtocolViolation(
                    worker=worker.number,
                    rule=failure.rule,
                    detail=failure.detail,
                    operation=task.operation,
                )
            )
        elif task.token.is_cancelled:
            reason = Retirement.CANCELLED
        elif failure.was_unread and is_reused:
            reason = Retirement.CRASHED_IDLE
        self.pool.discard(worker, reason)

    def _reason_to_retry(
        self, failure: WorkerFailure, retries: int, *, is_reused: bool
    ) -> str | None:
        """Why the action should be sent to another worker, if it should.

        A worker that ended before it read any of the request did so between requests, unless it is
        a fresh one, which would end again. So did one that made its folder unusable.
        """
        if failure.was_unread and is_reused:
            return failure.rule if failure.is_violation else Retirement.CRASHED_IDLE
        if failure.rule == Retirement.OTHER_PROTOCOL:
            return f"{failure.rule}: {failure.detail}"
        can_retry = self._config.retry_crashed_worker and not retries
        if can_retry and failure.rule == Retirement.CRASH:
            return f"{failure.rule}: {failure.detail} (retry_crashed_worker)"
        return None

    def _tell_retry(self, worker: Worker, task: WorkerTask, reason: str) -> None:
        self._log.append(
            ActionRetried(
                action=str(task.action.digest),
                operation=task.operation,
                worker=worker.number,
                reason=reason,
            )
        )

    def _tell_changed(self, worker: Worker, task: WorkerTask, place: Sandbox) -> None:
        self._log.append(
            InputsChanged(
                worker=worker.number,
                action=str(task.action.digest),
                operation=task.operation,
                paths=tuple(place.changed),
            )
        )


def _entered(
    stack: contextlib.ExitStack, place: contextlib.AbstractContextManager[Sandbox], worker: Worker
) -> Sandbox:
    """The place of a request, until ``stack`` is left.

    Raises:
        WorkerFailure: the worker took away its own working directory, or a folder in it.
    """
    try:
        return stack.enter_context(place)
    except OSError as error:
        if error.errno not in _IN_THE_WAY:
            raise
        is_gone = isinstance(error, FileNotFoundError | NotADirectoryError)
        raise _staging_failure(worker, _GONE if is_gone else _DISTURBED, str(error)) from None


def _staging_failure(worker: Worker, rule: str, detail: str) -> WorkerFailure:
    """Return the failure of a worker whose folder can't take the next request's inputs."""
    return WorkerFailure(
        worker=worker.number,
        rule=rule,
        detail=detail,
        stderr_tail=worker.stderr.text,
        is_violation=True,
        was_unread=True,
    )


def _collect(task: WorkerTask, place: Sandbox, worker: Worker) -> None:
    """Collects the outputs.

    Raises:
        WorkerFailure: the worker removed or replaced some after it had answered, or its input root.
    """
    try:
        task.collect(place.root)
    except OutputsChangedError as error:
        raise WorkerFailure(
            worker=worker.number,
            rule=_GONE if error.path == ROOT else _CHANGED,
            detail=error.message,
            stderr_tail=worker.stderr.text,
            is_violation=True,
        ) from None
