"""google.longrunning.Operations: asking for an operation, and cancelling it."""

from __future__ import annotations

from rpw_fixture.execution.scheduler import Scheduler
from rpw_fixture.services._base import Call, Service, rpc
from rpw_fixture.wire.protos import longrunning, wkt


class OperationsService(Service):
    """The operations that Execute made; its other methods are UNIMPLEMENTED, as REAPI allows.

    Args:
        scheduler: knows them.
    """

    name = "google.longrunning.Operations"

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler

    @rpc("GetOperation")
    def get_operation(
        self, request: longrunning.GetOperationRequest, _call: Call
    ) -> longrunning.Operation:
        """The operation as it stands; NOT_FOUND for one that is unknown or long over."""
        return self._scheduler.find(request.name).message()

    @rpc("CancelOperation")
    def cancel_operation(
        self, request: longrunning.CancelOperationRequest, _call: Call
    ) -> wkt.Empty:
        """Ends the operation with CANCELLED, and what it runs unless somebody else waits for it."""
        self._scheduler.cancel(request.name)
        return wkt.Empty()
