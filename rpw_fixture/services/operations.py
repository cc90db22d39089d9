"""google.longrunning.Operations: asking for an operation, and cancelling it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.wire.protos import longrunning, wkt

if TYPE_CHECKING:
    from rpw_fixture.execution.engine import Engine


class OperationsService(Service):
    """The operations that Execute made; its other methods are UNIMPLEMENTED, as REAPI allows.

    Args:
        engine: gives what knows them.
    """

    name = "google.longrunning.Operations"

    def __init__(self, engine: Callable[[], Engine]) -> None:
        self._engine = engine

    @rpc("GetOperation")
    def get_operation(
        self, request: longrunning.GetOperationRequest, _call: Call
    ) -> longrunning.Operation:
        """Return the operation as it is now; NOT_FOUND when it is unknown or ended long ago."""
        return self._engine().find(request.name).message()

    @rpc("CancelOperation")
    def cancel_operation(
        self, request: longrunning.CancelOperationRequest, _call: Call
    ) -> wkt.Empty:
        """End the operation with CANCELLED, and its execution unless another operation shares it."""
        self._engine().cancel(request.name)
        return wkt.Empty()
