"""grpc.health.v1.Health: whether the server, or one of its services, takes calls.

Expected by probes and tools such as bazel-remote's and BuildGrid's clients.
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
    """The health of all services together: a server serves all of them or none.

    Args:
        services: their full names; the empty name stands for the whole server.
    """

    name = "grpc.health.v1.Health"
    is_public = True

    def __init__(self, services: Iterable[str]) -> None:
        self._names = frozenset({"", self.name, *services})
        self._changed = Signal()
        self._status = _SERVING

    def stop_serving(self) -> None:
        """Tells from now on, watchers included, that nothing is served; their calls end."""
        self._status = _NOT_SERVING
        self._changed.notify()

    @rpc("Check")
    def check(self, request: health.HealthCheckRequest, _call: Call) -> health.HealthCheckResponse:
        """The status of one service; NOT_FOUND for one that is not known."""
        if request.service not in self._names:
            raise not_found(f"no service {request.service[:200]!r} here")
        return health.HealthCheckResponse(status=self._status)

    @rpc("List")
    def list(self, _request: health.HealthListRequest, _call: Call) -> health.HealthListResponse:
        """The status of every service."""
        status = health.HealthCheckResponse(status=self._status)
        return health.HealthListResponse(statuses=dict.fromkeys(sorted(self._names), status))

    @rpc("Watch", pauses=True)
    def watch(
        self, request: health.HealthCheckRequest, call: Call
    ) -> Iterator[health.HealthCheckResponse | Pause]:
        """The status now and at every change, until the client leaves or nothing is served."""
        told = None
        while call.context.is_active() and told != _NOT_SERVING:
            count = self._changed.count
            status = self._status if request.service in self._names else _UNKNOWN
            if status != told:
                yield health.HealthCheckResponse(status=status)
                told = status
            elif self._status == _NOT_SERVING:
                return  # the service is unknown, and stays so
            else:
                yield Pause(None, self._changed, count)
