"""ExecuteResponses: what the client gets to see of how an action ended."""

from __future__ import annotations

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.execution.outputs import Outputs, message_of
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.results import RunResult, Timeline
from rpw_fixture.execution.scheduler import Inline
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.protos import remote_execution as re
from rpw_fixture.wire.statuses import status_of
from rpw_fixture.workers.failure import WorkerFailure

#: Content beyond this is not put inside a response, to stay far below message limits.
_MOST_INLINE = 1 << 20
#: ExecutedActionMetadata.worker; it must not be empty.
WORKER_NAME = "rpw_fixture"


def completed(
    result: RunResult, outputs: Outputs, action: ResolvedAction, inline: Inline
) -> re.ExecuteResponse:
    """The response to an action whose command ended, or whose time was up."""
    response = re.ExecuteResponse(result=outputs.result, message=result.note)
    response.result.exit_code = result.exit_code
    _add_streams(response, result, action.store, inline)
    _inline_files(response.result, inline, action.store)
    if result.timed_out:
        response.status.code = Code.DEADLINE_EXCEEDED
        response.status.message = f"the command ran over its timeout of {action.timeout:g} s"
        response.message = response.status.message
    return response


def failed(
    error: RequestError, result: RunResult | None, outputs: Outputs, store: BlobStore
) -> re.ExecuteResponse:
    """The response to an action that could not be run, or not to its end.

    ``result`` must be set even then (remote_execution.proto, ExecuteResponse), and partial output
    helps who has to find out why.
    """
    response = re.ExecuteResponse(result=outputs.result, status=status_of(error))
    response.message = error.message
    if result is not None:
        _add_streams(response, result, store, Inline())
    if isinstance(error, WorkerFailure) and error.stderr_tail:
        _add_log(response, "worker-stderr", error.stderr_tail.encode(), store)
    return response


def is_cacheable(response: re.ExecuteResponse) -> bool:
    """Nothing is cached but OK with exit code 0."""
    return response.status.code == Code.OK and response.result.exit_code == 0


def add_metadata(
    response: re.ExecuteResponse, result: RunResult | None, timeline: Timeline
) -> None:
    """Fills in who executed the action, when, and what is known besides."""
    metadata = response.result.execution_metadata
    metadata.worker = WORKER_NAME
    if result is not None and result.worker is not None:
        metadata.worker = f"{WORKER_NAME}/worker-{result.worker}"
    timeline.write_to(metadata)


def _add_streams(
    response: re.ExecuteResponse, result: RunResult, store: BlobStore, inline: Inline
) -> None:
    # Without output both digest and raw stay unset, as clients expect (see Buildbarn).
    if result.stdout:
        response.result.stdout_digest.CopyFrom(message_of(store.put(result.stdout)))
        if inline.stdout and len(result.stdout) <= _MOST_INLINE:
            response.result.stdout_raw = result.stdout
    if result.stderr:
        response.result.stderr_digest.CopyFrom(message_of(store.put(result.stderr)))
        if inline.stderr and len(result.stderr) <= _MOST_INLINE:
            response.result.stderr_raw = result.stderr
    if result.worker_stderr:
        _add_log(response, "worker-stderr", result.worker_stderr, store)


def _inline_files(result: re.ActionResult, inline: Inline, store: BlobStore) -> None:
    budget = _MOST_INLINE
    for file in result.output_files:
        if file.path in inline.files and file.digest.size_bytes <= budget:
            budget -= file.digest.size_bytes
            file.contents = store.get(store.function.validate(file.digest))


def _add_log(response: re.ExecuteResponse, name: str, text: bytes, store: BlobStore) -> None:
    log = response.server_logs[name]
    log.digest.CopyFrom(message_of(store.put(text)))
    log.human_readable = True
