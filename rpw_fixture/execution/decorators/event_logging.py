"""Records in the event log how actions ended."""

from __future__ import annotations

import time

from rpw_fixture.events.log import EventLog
from rpw_fixture.execution import action_records
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.job import Job
from rpw_fixture.wire.protos import remote_execution as reapi


class EventLogging:
    """Logs each action when its response is ready, before a client gets it.

    Args:
        inner: executes actions, and turns errors into responses.
        log: gets the records.
    """

    def __init__(self, inner: Executor, log: EventLog) -> None:
        self.inner = inner
        self._log = log

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        """See `Executor.execute`."""
        began = time.monotonic()
        response = self.inner.execute(job)
        self._log.append(action_records.completed(job, response, time.monotonic() - began))
        return response
