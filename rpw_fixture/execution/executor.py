"""The interface of everything that executes actions."""

from __future__ import annotations

from typing import Protocol

from rpw_fixture.execution.job import Job
from rpw_fixture.wire.protos import remote_execution as reapi


class Executor(Protocol):
    """Something that executes actions, or that does one thing around another executor."""

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        """Execute an action and return the response for its clients.

        Raises:
            RequestError: the action can't be run, or not to its end.
            OSError: the file system or the system's limits don't allow it.
        """
