"""Running an action as a request to a persistent worker."""

from __future__ import annotations

import os
import posixpath
import time
from collections.abc import Callable
from pathlib import Path

from rpw_fixture.cancellation import CancelToken
from rpw_fixture.config import Config
from rpw_fixture.errors import invalid_argument
from rpw_fixture.events import EventLog, ProtocolViolation, RequestSent, ResponseReceived
from rpw_fixture.execution import executable, staging
from rpw_fixture.execution.exec_roots import (
    ExecRoot,
    Place,
    PrivateRoot,
    SandboxedRoot,
    SharedRoot,
    output_parents,
)
from rpw_fixture.execution.input_index import InputIndex
from rpw_fixture.execution.processes import Spawner, StartError
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.results import RunResult, Timeline
from rpw_fixture.execution.routing import Route
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.trees import FileEntry
from rpw_fixture.wire.worker_frames import Request, Response, encoding
from rpw_fixture.workers.connection import Connection
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.key import WorkerKey
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.multiplex import Multiplex
from rpw_fixture.workers.plumbing import Plumbing, make_pipes
from rpw_fixture.workers.pool import Client, WorkerPool
from rpw_fixture.workers.singleplex import Singleplex
from rpw_fixture.workers.worker import Worker


class PersistentRunner:
    """Runs actions on workers.

    Args:
        config: limits.
        log: requests, responses and violations are told here.
        index: lists inputs.
        spawner: starts worker processes.
        folder: where workers get their folders.
    """

    def __init__(
        self,
        *,
        config: Config,
        log: EventLog,
        index: InputIndex,
        spawner: Spawner,
        folder: Path,
    ) -> None:
        self._config = config
        self._log = log
        self._index = index
        self._spawner = spawner
        self._folder = folder
        self._roots: dict[int, ExecRoot] = {}
        self.pool = WorkerPool(config, log, self._clean_up)

    def run(
        self,
        action: ResolvedAction,
        route: Route,
        *,
        operation: str,
        timeline: Timeline,
        token: CancelToken,
        collect: Callable[[str], None],
    ) -> RunResult:
        """Sends the action to a worker that fits.

        Args:
            action: what to run.
            route: names the worker's key and the flagfiles.
            operation: names the execution in events.
            timeline: gets the points in time.
            token: ends the waiting, and the worker.
            collect: called with the input root's path after the response, before the worker is
                given to anybody else.

        Raises:
            RequestError: of the action (a flagfile that is no input), or CANCELLED.
            WorkerFailure: of the worker.
        """
        key = route.key
        if key is None:
            raise ValueError("the route leads to no worker")
        arguments = flagfiles.expand(route.flagfiles, lambda path: _read_flagfile(action, path))
        parents = output_parents(action)
        timeline.reach("input_fetch_start")
        worker, is_reused = self.pool.acquire(
            key,
            lambda number, key: self._start(number, key, action, parents),
            Client(
                action=str(action.digest),
                operation=operation,
                deadline=time.monotonic() + action.timeout,
                token=token,
            ),
        )
        try:
            with self._roots[worker.number].place(action, parents, token) as place:
                timeline.reach("input_fetch_completed")
                request = self._request(action, key, arguments, place)
                position = worker.stderr.position
                timeline.reach("execution_start")
                response = self._call(worker, request, action, operation, token)
                timeline.reach("execution_completed")
                collect(place.root)
        except WorkerFailure as failure:
            self._discard(worker, failure, operation)
            raise
        except BaseException:
            self.pool.release(worker)
            raise
        result = RunResult(
            exit_code=response.exit_code,
            stderr=response.output.encode(),
            worker=worker.number,
            is_reused=is_reused,
            request_id=response.request_id,
            worker_stderr=worker.stderr.since(position),
        )
        self.pool.release(worker)
        return result

    def _request(
        self, action: ResolvedAction, key: WorkerKey, arguments: list[str], place: Place
    ) -> Request:
        inputs = self._index.encoded_inputs(action.root, encoding(key.protocol))
        return Request(arguments=tuple(arguments), inputs=inputs, sandbox_dir=place.sandbox_dir)

    def _call(
        self,
        worker: Worker,
        request: Request,
        action: ResolvedAction,
        operation: str,
        token: CancelToken,
    ) -> Response:
        self._log.append(
            RequestSent(
                worker=worker.number,
                request_id=request.request_id,
                action=str(action.digest),
                operation=operation,
                inputs=action.root.file_count,
            )
        )
        sent = time.monotonic()
        response = worker.call(request, sent + action.timeout, token)
        self._log.append(
            ResponseReceived(
                worker=worker.number,
                request_id=response.request_id,
                action=str(action.digest),
                operation=operation,
                exit_code=response.exit_code,
                seconds=time.monotonic() - sent,
            )
        )
        return response

    def _discard(self, worker: Worker, failure: WorkerFailure, operation: str) -> None:
        reason = failure.rule
        if failure.is_violation:
            reason = f"{Retirement.PROTOCOL_VIOLATION}: {failure.rule}"
            self._log.append(
                ProtocolViolation(
                    worker=worker.number,
                    rule=failure.rule,
                    detail=failure.detail,
                    operation=operation,
                )
            )
        self.pool.discard(worker, reason)

    def _start(
        self, number: int, key: WorkerKey, action: ResolvedAction, parents: staging.Parents
    ) -> Worker:
        folder = self._folder / f"worker-{number}"
        path = folder / "root"
        path.mkdir(parents=True)
        try:
            root = _exec_root(key, path)
            root.first(action, parents)
            worker = self._spawn(number, key, str(folder))
        except BaseException:
            staging.remove(str(folder))
            raise
        self._roots[number] = root
        return worker

    def _spawn(self, number: int, key: WorkerKey, folder: str) -> Worker:
        environment = dict(key.environment)
        cwd = os.path.join(folder, "root", key.working_directory)
        pipes, theirs = make_pipes()
        try:
            process = self._spawner.spawn(
                executable=executable.find(key.startup_arguments[0], environment, cwd),
                argv=key.startup_arguments,
                env=environment,
                cwd=cwd,
                stdin=theirs.stdin,
                stdout=theirs.stdout,
                stderr=theirs.stderr,
            )
        except (FileNotFoundError, PermissionError, StartError) as error:
            pipes.close()
            raise WorkerFailure(
                worker=number, rule=str(Retirement.START_FAILED), detail=str(error)
            ) from None
        finally:
            theirs.close()
        plumbing = Plumbing(number, process, pipes)
        connection = Connection(encoding(key.protocol), self._config.max_frame_bytes)
        grace = self._config.cancel_grace if "cancellation" in key.abilities else None
        speak = Multiplex if key.is_multiplex else Singleplex
        return Worker(
            number=number,
            key=key,
            plumbing=plumbing,
            conversation=speak(plumbing, connection, grace),
            slots=self._config.max_multiplex if key.is_multiplex else 1,
            folder=folder,
        )

    def _clean_up(self, worker: Worker) -> None:
        self._roots.pop(worker.number, None)
        staging.remove(worker.folder)


def _exec_root(key: WorkerKey, path: Path) -> ExecRoot:
    if not key.is_multiplex:
        return PrivateRoot(path)
    if "sandbox" in key.abilities:
        return SandboxedRoot(path, frozenset(each.path for each in key.tool_inputs.files))
    return SharedRoot(path)


def _read_flagfile(action: ResolvedAction, path: str) -> bytes:
    full = posixpath.normpath(posixpath.join(action.command.working_directory, path))
    entry = None if path.startswith("/") else action.root.find(full)
    if not isinstance(entry, FileEntry):
        raise invalid_argument(
            f"flagfile {path!r} is not a declared input of the action (flagfile @{path})"
        )
    return action.store.get(entry.digest)
