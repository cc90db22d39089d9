"""The service grpc.health.v1.Health: whether the server, or one of its services, accepts calls.

Probes, and tools such as the clients of bazel-remote and BuildGrid, use it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rpw_fixture.errors import not_found
from rpw_fixture.services.base import Call, Service, rpc
from rpw_fixture.support.pausing import Pause, Signal
from rpw_fixture.wire.protos import health

_SERVING = health.HealthCheckResponse.SERVING
_NOT_SERVING = health.HealthCheckResponse.NOT_SERVING
_UNKNOWN = health.HealthCheckResponse.SERVICE_UNKNOWN


class HealthService(Service):
    """The health of all services, which is the same for all of them.

    Args:
        services: their full names; the empty name means the whole server.
    """

    name = "grpc.health.v1.Health"
    is_public = True

    def __init__(self, services: Iterable[str]) -> None:
        self._names = frozenset({"", self.name, *services})
        self._changed = Signal()
        self._status = _SERVING

    def stop_serving(self) -> None:
        """Report to all clients that nothing is served, and end the calls of watchers."""
        self._status = _NOT_SERVING
        self._changed.notify()

    @rpc("Check")
    def check(self, request: health.HealthCheckRequest, _call: Call) -> health.HealthCheckResponse:
        """Return the status of a service; NOT_FOUND for an unknown one."""
        if request.service not in self._names:
            raise not_found(f"unknown service {request.service[:200]!r}")
        return health.HealthCheckResponse(status=self._status)

    @rpc("List")
    def list(self, _request: health.HealthListRequest, _call: Call) -> health.HealthListResponse:
        """Return the status of every service."""
        status = health.HealthCheckResponse(status=self._status)
        return health.HealthListResponse(statuses=dict.fromkeys(sorted(self._names), status))

    @rpc("Watch", pauses=True)
    def watch(
        self, request: health.HealthCheckRequest, call: Call
    ) -> Iterator[health.HealthCheckResponse | Pause]:
        """Yield the status now and at every change, until the client leaves or nothing is served."""
        reported = None
        while call.context.is_active() and reported != _NOT_SERVING:
            count = self._changed.count
            status = self._status if request.service in self._names else _UNKNOWN
            if status != reported:
                yield health.HealthCheckResponse(status=status)
                reported = status
            elif self._status == _NOT_SERVING:
                return  # the service is unknown, and will stay unknown
            else:
                yield Pause(None, self._changed, count)
