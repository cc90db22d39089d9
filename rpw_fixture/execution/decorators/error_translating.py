"""Turns exceptions into responses with a status."""

from __future__ import annotations

import errno

from rpw_fixture.errors import Code, RequestError, invalid_argument, resource_exhausted
from rpw_fixture.events.log import EventLog
from rpw_fixture.execution import response
from rpw_fixture.execution.executor import Executor
from rpw_fixture.execution.job import Job
from rpw_fixture.wire.protos import remote_execution as reapi

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EMFILE: "too many open files",
    errno.ENFILE: "too many open files",
    errno.ENOMEM: "out of memory",
    errno.EAGAIN: "too many processes",
}
_TOO_LONG = {errno.ENAMETOOLONG, errno.ELOOP}


class ErrorTranslating:
    """Turns every exception into a response with the status that the client must see.

    Args:
        inner: executes actions.
        log: gets the exceptions that are bugs of this server.
    """

    def __init__(self, inner: Executor, log: EventLog) -> None:
        self.inner = inner
        self._log = log

    def execute(self, job: Job) -> reapi.ExecuteResponse:
        """Execute an action and return a response, whatever happens."""
        try:
            return self.inner.execute(job)
        except RequestError as error:
            return response.failed(error, job)
        except OSError as error:
            return response.failed(self._translate(error, job), job)
        except Exception as error:  # noqa: BLE001 - a bug of ours must still answer the client
            return response.failed(self._bug(error, job), job)

    def _translate(self, error: OSError, job: Job) -> RequestError:
        """Return what a failing file system means to the client."""
        cause = _FULL.get(error.errno or 0)
        if cause is not None:
            return resource_exhausted(f"{cause}: {error}")
        if error.errno in _TOO_LONG:
            return invalid_argument(f"a path of the action is too long for this system: {error}")
        return self._bug(error, job)

    def _bug(self, error: Exception, job: Job) -> RequestError:
        self._log.append_bug(f"execution of action {job.identity.digest}", error)
        return RequestError(Code.INTERNAL, f"internal error while executing: {error!r}")
