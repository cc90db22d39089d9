"""Records of the event log about actions."""

from __future__ import annotations

from collections.abc import Sequence

from rpw_fixture.errors import Code
from rpw_fixture.events.kinds import ActionCompleted, ActionRouted, FileRecord
from rpw_fixture.execution.job import ActionProgress, Job
from rpw_fixture.wire.digests import digest_of
from rpw_fixture.wire.protos import remote_execution as reapi


def routed(job: Job) -> ActionRouted:
    """Return the record of where an action runs, and why."""
    identity, route = job.identity, job.progress.route
    key = route.key
    return ActionRouted(
        action=identity.digest,
        operation=identity.operation,
        mnemonic=identity.mnemonic,
        target=identity.target,
        invocation=identity.invocation,
        mode=route.mode.value,
        reason=route.reason,
        key=key.digest if key is not None else None,
        key_components=key.components if key is not None else (),
        asks_for_worker=route.asks_for_worker,
        tool_inputs=route.tool_inputs,
    )


def completed(job: Job, response: reapi.ExecuteResponse, seconds: float) -> ActionCompleted:
    """Return the record of how an action ended, ``seconds`` after its execution began."""
    identity, progress = job.identity, job.progress
    return ActionCompleted(
        action=identity.digest,
        operation=identity.operation,
        mnemonic=identity.mnemonic,
        target=identity.target,
        mode=progress.route.mode.value,
        reason=progress.route.reason,
        worker=progress.worker,
        reused=progress.is_reused,
        exit_code=_exit_code(progress, response),
        cached=response.cached_result,
        seconds=seconds,
        outputs=tuple(_files(progress, response)),
        status=Code(response.status.code).name,
        message=response.status.message,
        phases=progress.timeline.phases(),
    )


def _files(progress: ActionProgress, response: reapi.ExecuteResponse) -> Sequence[FileRecord]:
    if not response.cached_result:
        return progress.outputs.files
    return [
        FileRecord(file.path, str(digest_of(file.digest))) for file in response.result.output_files
    ]


def _exit_code(progress: ActionProgress, response: reapi.ExecuteResponse) -> int | None:
    if response.cached_result:
        return response.result.exit_code
    result = progress.result
    return None if result is None or result.timed_out else result.exit_code
