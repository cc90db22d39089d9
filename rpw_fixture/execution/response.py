"""ExecuteResponses: what the client sees of how an action ended."""

from __future__ import annotations

import contextlib
import json

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.events.actions import Mode
from rpw_fixture.execution.job import ActionProgress, Job
from rpw_fixture.execution.results import RunResult
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import message_of
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.protos import wkt
from rpw_fixture.wire.raw_messages import packed
from rpw_fixture.wire.statuses import status_of
from rpw_fixture.workers.failure import WorkerFailure

#: ExecutedActionMetadata.worker; it must not be empty.
WORKER_NAME = "rpw_fixture"
#: Key in ExecuteResponse.server_logs of what the worker wrote to stderr during the request.
_WORKER_LOG = "worker-stderr"
#: How much of a failed action's stderr is inside the response: its end.
_MOST_RAW_STDERR = 1 << 20
#: Missing blobs named in one response: about 2 MB of the 4 MiB that clients receive by default.
_MOST_VIOLATIONS = 20_000


def completed(job: Job) -> reapi.ExecuteResponse:
    """Return the response to an action whose command ended, or whose time was up.

    Raises:
        ValueError: the action has no result.
        RequestError: RESOURCE_EXHAUSTED when the store has no room for its output.
    """
    result, action = job.progress.result, job.progress.action
    if result is None:
        raise ValueError("the action has no result")
    response = reapi.ExecuteResponse(
        result=job.progress.outputs.result, message=_message(job.progress, result)
    )
    response.result.exit_code = result.exit_code
    if result.timed_out:
        response.status.code = Code.DEADLINE_EXCEEDED
        response.status.message = f"the command ran over its timeout of {action.timeout:g} s"
        response.message = response.status.message
        _add_failure(response, result, action.store)
    else:
        _add_streams(response, result, action.store)
    _add_metadata(response, job.progress)
    return response


def _message(progress: ActionProgress, result: RunResult) -> str:
    """Return for the user where the action ran and why; Bazel prints it below a command that failed."""
    where = "one-shot"
    if result.worker is not None:
        where = f"on worker {result.worker}{', reused' if result.is_reused else ''}"
    text = f"{WORKER_NAME}: ran {where}: {progress.route.reason}"
    return f"{result.note}\n{text}" if result.note else text


def failed(error: RequestError, job: Job) -> reapi.ExecuteResponse:
    """Return the response to an action that could not be run, or not to its end.

    ``result`` must be set even then (remote_execution.proto, ExecuteResponse), and partial output
    helps to find the cause.
    """
    status = status_of(error, most_violations=_MOST_VIOLATIONS)
    response = reapi.ExecuteResponse(result=job.progress.outputs.result, status=status)
    response.message = error.message
    with contextlib.suppress(RequestError):  # the error may be that the disk is full
        _add_failure(response, job.progress.result or RunResult(exit_code=0), job.store)
        if isinstance(error, WorkerFailure) and error.stderr_tail:
            _add_log(response, _WORKER_LOG, error.stderr_tail.encode(), job.store)
    _add_metadata(response, job.progress)
    return response


def cached(encoded: bytes) -> reapi.ExecuteResponse:
    """Return the response with a result of the action cache; its metadata stay as they were."""
    response = reapi.ExecuteResponse(
        result=reapi.ActionResult.FromString(encoded), cached_result=True
    )
    if not response.result.execution_metadata.worker:
        response.result.execution_metadata.worker = WORKER_NAME  # Buck2 refuses a result without
    return response


def is_cacheable(response: reapi.ExecuteResponse) -> bool:
    """Return whether the result may be kept: only OK with exit code 0."""
    return response.status.code == Code.OK and response.result.exit_code == 0


def _add_metadata(response: reapi.ExecuteResponse, progress: ActionProgress) -> None:
    """Write who executed the action, when, and what else is known.

    ``auxiliary_metadata`` gets one google.protobuf.StringValue, which every client can unpack. It
    holds JSON: ``{"rpw_fixture": {"mode": "worker", "worker": 3, "reused": true, "request_id": 7,
    "peak_memory_bytes": 41943040}}``; a one-shot action has no worker, and what is unknown is null.
    A worker's peak was read after the request, or less than 50 ms before it.
    """
    metadata, result = response.result.execution_metadata, progress.result
    metadata.worker = WORKER_NAME
    if result is not None:
        if result.worker is not None:
            metadata.worker = f"{WORKER_NAME}/worker-{result.worker}"
        metadata.auxiliary_metadata.append(_facts(progress.route.mode, result))
    progress.timeline.reach("worker_completed")
    progress.timeline.write_to(metadata)


def _add_failure(response: reapi.ExecuteResponse, result: RunResult, store: BlobStore) -> None:
    """Add the action's output, and after it the server's text.

    Bazel prints neither the status's message nor ExecuteResponse.message of most failures, but always
    the stderr of a result. That is inside the response, because not every client fetches a blob after a
    failure, and because there may be no room for one.
    """
    line_end = b"\n" if result.stderr and not result.stderr.endswith(b"\n") else b""
    text = f"{WORKER_NAME}: {response.message.rstrip()}\n".encode()
    stderr = result.stderr + line_end + text
    response.result.stderr_raw = stderr[-_MOST_RAW_STDERR:]
    _add_streams(response, result._replace(stderr=stderr), store)


def _add_streams(response: reapi.ExecuteResponse, result: RunResult, store: BlobStore) -> None:
    # Without output the digests stay unset, as clients expect (see Buildbarn).
    if result.stdout:
        response.result.stdout_digest.CopyFrom(message_of(store.put(result.stdout)))
    if result.stderr:
        response.result.stderr_digest.CopyFrom(message_of(store.put(result.stderr)))
    if result.worker_stderr:
        _add_log(response, _WORKER_LOG, result.worker_stderr, store)


def _facts(mode: Mode, result: RunResult) -> wkt.Any:
    facts: dict[str, object] = {"mode": mode, "peak_memory_bytes": result.max_rss_bytes or None}
    if result.worker is not None:
        facts |= {
            "worker": result.worker,
            "reused": result.is_reused,
            "request_id": result.request_id,
        }
    return packed(wkt.StringValue(value=json.dumps({"rpw_fixture": facts})))


def _add_log(response: reapi.ExecuteResponse, name: str, text: bytes, store: BlobStore) -> None:
    log = response.server_logs[name]
    log.digest.CopyFrom(message_of(store.put(text)))
    log.human_readable = True
