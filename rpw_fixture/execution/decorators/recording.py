"""Records the actions that workers served."""

from __future__ import annotations

from collections.abc import Callable

from rpw_fixture.events.actions import Mode
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.job import Job
from rpw_fixture.execution.recorder import Recorder
from rpw_fixture.support.harmless import harmless
from rpw_fixture.wire.protos import remote_execution as reapi


class Recording:
    """Records actions that ran on workers; a recorder that fails never fails an action.

    Args:
        inner: executes actions.
        recorder: writes the recording.
        on_bug: called with a name of the recorder and each exception that is a bug of this server.
    """

    def __init__(
        self, inner: Executor, recorder: Recorder, on_bug: Callable[[str, Exception], object]
    ) -> None:
        self.inner = inner
        self._recorder = recorder
        what = f"--record {recorder.folder}"
        self._record = harmless(what, self._add, on_bug)
        self._explain_gap = harmless(what, recorder.explain_gap, on_bug)

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        """See `Executor.execute`."""
        response = self.inner.execute(job)
        if job.progress.route.mode is Mode.WORKER:
            self._record(job)
        elif job.progress.route.mode is Mode.ONE_SHOT:
            self._explain_gap(job.progress.route)
        return response

    def _add(self, job: Job) -> None:
        progress = job.progress
        if progress.result is None:
            return
        self._recorder.add(
            progress.action,
            progress.route,
            mnemonic=job.identity.mnemonic,
            target=job.identity.target,
            sent=progress.result.sent,
            exit_code=progress.result.exit_code,
            outputs=progress.outputs.files,
        )
