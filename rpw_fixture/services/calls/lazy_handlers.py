"""Finds the handler of a call: checks its token first, and has the first call build the backend."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import grpc

from rpw_fixture.errors import RequestError
from rpw_fixture.events.log import EventLog
from rpw_fixture.services.calls.lanes import HowToServe, Lane
from rpw_fixture.services.calls.status_codes import STATUS_CODES
from rpw_fixture.services.listener import Listener
from rpw_fixture.support.lazy import Lazy

if TYPE_CHECKING:
    from rpw_fixture.services.backend import Backend

_HEALTH_PREFIX = "/grpc.health.v1.Health/"
_HINT = (
    "the call has no valid token; send the metadata 'authorization: Bearer …' "
    "(Bazel: --remote_header=authorization='Bearer …')"
)


class LazyHandlers(grpc.GenericRpcHandler):
    """Finds the handler of a call; the first call builds the backend.

    gRPC's thread calls it with the headers of the call.

    Args:
        backend: has the handlers.
        listener: checks the token.
        log: gets events of internal errors.
    """

    def __init__(self, backend: Lazy[Backend], listener: Listener, log: EventLog) -> None:
        self._backend = backend
        self._listener = listener
        self._log = log

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """See `grpc.GenericRpcHandler.service`."""
        path = str(handler_call_details.method)
        is_admitted = self._listener.admits(handler_call_details.invocation_metadata)
        if not (is_admitted or path.startswith(_HEALTH_PREFIX)):
            return _REFUSED
        try:
            handlers = self._backend.get().handlers
        except Exception as error:  # noqa: BLE001 - gRPC's thread must not end
            return self._failing(path, error)
        return (
            handlers.service(handler_call_details) if is_admitted else handlers.for_stranger(path)
        )

    def _failing(self, path: str, error: Exception) -> grpc.RpcMethodHandler[Any, Any]:
        if isinstance(error, RequestError):  # the server is stopping, or has no space
            return _ending(STATUS_CODES[error.code], error.message)
        self._log.append_bug(path, error)
        return _ending(grpc.StatusCode.INTERNAL, f"internal error in {path}: {error!r}")


class _Ending:
    """Ends every call with a status, without reading a message."""

    __slots__ = ("_code", "_text", "how")

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        self._code = code
        self._text = text
        self.how = HowToServe(Lane.STRANGER, has_stream=True, needs_message=False)

    def __call__(self, _requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        context.abort(self._code, self._text)


def _ending(code: grpc.StatusCode, text: str) -> grpc.RpcMethodHandler[Any, Any]:
    # A handler of a request stream; for any other, gRPC reads the message before it calls the handler.
    return grpc.stream_unary_rpc_method_handler(_Ending(code, text), None, None)


_REFUSED = _ending(grpc.StatusCode.UNAUTHENTICATED, _HINT)
