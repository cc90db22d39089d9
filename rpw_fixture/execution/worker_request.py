"""Serves an action by one request to a worker: stage inputs, send, await the response, collect outputs."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from typing import Any

from rpw_fixture.config import Config
from rpw_fixture.errors import RequestError
from rpw_fixture.events.kinds import (
    InputsChanged,
    RequestCancelled,
    RequestSent,
    ResponseReceived,
)
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution.output_lookup import ROOT, OutputsChangedError
from rpw_fixture.execution.outputs import collect
from rpw_fixture.execution.results import RunResult
from rpw_fixture.execution.staging.exec_roots import Sandbox
from rpw_fixture.execution.worker_flagfiles import request_base
from rpw_fixture.execution.worker_start import WorkerStarter
from rpw_fixture.execution.worker_task import WorkerTask
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import Request, Response
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.input_index import InputIndex
from rpw_fixture.workers.lease import Lease
from rpw_fixture.workers.personalities.rules import InputList, Personality, TextTo, WorkerStderr
from rpw_fixture.workers.pool import WorkerPool
from rpw_fixture.workers.waiting import LeaseRequest
from rpw_fixture.workers.worker import Worker

#: Failures of workers that have to do with their folders, in the words that events use.
_GONE = "working directory gone"
_DISTURBED = "working directory disturbed"
_CHANGED = "outputs changed after the response"
_LEFTOVERS = "left what can't be removed"
#: Error numbers of staging that show that a worker removed or replaced a part of its folder.
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


class WorkerRequests:
    """Leases workers for actions and sends them requests.

    Args:
        config: limits.
        rules: the personality's.
        log: gets requests and responses.
        index: lists inputs.
        starter: starts workers.
        pool: lends workers.
    """

    def __init__(
        self,
        *,
        config: Config,
        rules: Personality,
        log: EventLog,
        index: InputIndex,
        starter: WorkerStarter,
        pool: WorkerPool,
    ) -> None:
        self._config = config
        self._rules = rules
        self._log = log
        self._index = index
        self._starter = starter
        self._pool = pool

    def lease(
        self,
        task: WorkerTask,
        *,
        is_extra: bool = False,
        before_start: Callable[[], None] | None = None,
    ) -> Lease:
        """Lease a worker that fits the task; see `WorkerPool.lease` and `LeaseRequest`."""
        request = LeaseRequest(
            identity=task.identity,
            key=task.key,
            patience=task.action.timeout,
            token=task.token,
            turn=task.turn,
            is_extra=is_extra,
            before_start=before_start,
        )
        start = partial(self._starter.start, action=task.action, parents=task.parents)
        return self._pool.lease(request, start)

    def serve(self, lease: Lease, task: WorkerTask) -> RunResult:
        """Have the leased worker serve the task.

        Raises:
            RequestError: of the request alone; the worker can be used again.
            WorkerFailure: of the worker.
        """
        worker, timeline = lease.worker, task.progress.timeline
        root = self._starter.root_of(worker)
        with ExitStack() as stack:
            sandbox = _entered(stack, root.place(task.action, task.parents, task.token), worker)
            if sandbox.has_leftovers and lease.is_reused:
                raise _staging_failure(worker, _LEFTOVERS, sandbox.root.path)
            timeline.reach("input_fetch_completed")
            if sandbox.changed:
                self._log_changed(worker, task, sandbox)
            request = self._request(worker, task, sandbox)
            position = worker.stderr.total
            timeline.reach("execution_start")
            sent = time.time()
            response = self._call(worker, request, task)
            if task.accept is not None:
                task.accept(worker)
            timeline.reach("execution_completed")
            sandbox.has_failed = response.exit_code != 0
            if not sandbox.has_failed or self._rules.outputs_after_failure.value:
                self._collect(task, sandbox, worker)
        return self._result(lease, response, sent, worker.stderr.since(position))

    def _result(self, lease: Lease, response: Response, sent: float, stderr: bytes) -> RunResult:
        rules, worker, text = self._rules, lease.worker, response.output.encode()
        is_to_stdout = rules.response_text.value is TextTo.STDOUT
        is_stderr_shown = rules.worker_stderr.value is WorkerStderr.ACTION
        is_stderr_logged = rules.worker_stderr.value is WorkerStderr.SERVER_LOG
        return RunResult(
            exit_code=response.exit_code,
            stdout=text if is_to_stdout else b"",
            stderr=(b"" if is_to_stdout else text) + (stderr if is_stderr_shown else b""),
            worker=worker.number,
            is_reused=lease.is_reused,
            key=worker.key,
            request_id=response.request_id,
            sent=sent,
            worker_stderr=stderr if is_stderr_logged else b"",
            max_rss_bytes=worker.recent_peak_bytes,
        )

    def _request(self, worker: Worker, task: WorkerTask, sandbox: Sandbox) -> Request:
        return Request(
            arguments=task.arguments,
            inputs=self._index.encoded_inputs(
                task.action.root,
                encoding(worker.key.protocol),
                self._rules.inputs.value,
                request_base(task.action, self._rules),
            ),
            request_id=worker.new_request_id(),
            verbosity=self._config.worker_verbosity,
            sandbox_dir=sandbox.sandbox_dir,
        )

    def _call(self, worker: Worker, request: Request, task: WorkerTask) -> Response:
        names: dict[str, Any] = {
            "worker": worker.number,
            "request_id": request.request_id,
            "action": task.identity.digest,
            "operation": task.identity.operation,
        }
        is_listed = self._rules.inputs.value is not InputList.NONE
        count = task.action.root.file_count if is_listed else 0
        self._log.append(RequestSent(**names, inputs=count))
        sent = time.monotonic()
        try:
            deadline = min(sent + task.action.timeout, task.latest)
            response = worker.call(request, deadline, task.token)
        except WorkerFailure:
            raise
        except RequestError as error:
            self._log.append(RequestCancelled(**names, reason=error.code.name))
            raise
        seconds = time.monotonic() - sent
        self._log.append(ResponseReceived(**names, exit_code=response.exit_code, seconds=seconds))
        return response

    def _collect(self, task: WorkerTask, sandbox: Sandbox, worker: Worker) -> None:
        """Collect the outputs.

        Raises:
            WorkerFailure: the worker removed or replaced outputs, or its input root, after it had
                answered.
        """
        try:
            task.progress.outputs = collect(
                sandbox.root,
                task.action.command,
                task.action.store,
                timeline=task.progress.timeline,
                absolute_symlinks=self._config.absolute_symlinks,
            )
        except OutputsChangedError as error:
            raise WorkerFailure(
                worker=worker.number,
                rule=_GONE if error.path == ROOT else _CHANGED,
                detail=error.message,
                stderr_tail=worker.stderr.text,
                is_violation=True,
            ) from None

    def _log_changed(self, worker: Worker, task: WorkerTask, sandbox: Sandbox) -> None:
        self._log.append(
            InputsChanged(
                worker=worker.number,
                action=task.identity.digest,
                operation=task.identity.operation,
                paths=tuple(sandbox.changed),
            )
        )


def _entered(stack: ExitStack, sandbox: AbstractContextManager[Sandbox], worker: Worker) -> Sandbox:
    """Return the place of a request, which no other request uses until ``stack`` is closed.

    Raises:
        WorkerFailure: the worker took away its working directory, or a folder in it.
    """
    try:
        return stack.enter_context(sandbox)
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
