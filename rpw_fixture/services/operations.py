"""The service google.longrunning.Operations: returns and cancels operations."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.wire.protos import longrunning, wkt

if TYPE_CHECKING:
    from rpw_fixture.execution.engine import Engine


class OperationsService(Service):
    """Serves the operations of Execute; its other methods are UNIMPLEMENTED, as REAPI allows.

    Args:
        engine: returns the engine that has them.
    """

    name = "google.longrunning.Operations"

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    @rpc("GetOperation")
    def get_operation(
        self, request: longrunning.GetOperationRequest, _call: Call
    ) -> longrunning.Operation:
        """Return an operation as it is now; NOT_FOUND if it is unknown or was forgotten."""
        return self._engine().find(request.name).message()

    @rpc("CancelOperation")
    def cancel_operation(
        self, request: longrunning.CancelOperationRequest, _call: Call
    ) -> wkt.Empty:
        """End an operation with CANCELLED, and its action unless another client waits for it."""
        self._engine().cancel(request.name)
        return wkt.Empty()
