"""Where calls come in: the token is checked before a call gets a thread or its message is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import grpc

from rpw_fixture.errors import RequestError
from rpw_fixture.events.log import EventLog
from rpw_fixture.services.calls.lanes import HowToServe, Lane
from rpw_fixture.services.listener import Listener
from rpw_fixture.support.lazy import Lazy

if TYPE_CHECKING:
    from rpw_fixture.services.backend import Backend

_HEALTH_PREFIX = "/grpc.health.v1.Health/"
_HINT = (
    "the call carries no valid token; send the metadata 'authorization: Bearer …' "
    "(Bazel: --remote_header=authorization='Bearer …')"
)


class LazyHandlers(grpc.GenericRpcHandler):
    """Finds what serves a call; the first one has the front built.

    gRPC's own thread calls it, with nothing but the call's headers.

    Args:
        front: has the handlers.
        listener: knows the token.
        log: gets the bugs.
    """

    def __init__(self, front: Lazy[Backend], listener: Listener, log: EventLog) -> None:
        self._front = front
        self._listener = listener
        self._log = log

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """See `grpc.GenericRpcHandler.service`."""
        path = str(handler_call_details.method)
        is_known = self._listener.admits(handler_call_details.invocation_metadata)
        if not (is_known or path.startswith(_HEALTH_PREFIX)):
            return _REFUSED
        try:
            handlers = self._front.get().handlers
        except Exception as error:  # noqa: BLE001 - gRPC's thread must go on
            return self._failing(path, error)
        return handlers.service(handler_call_details) if is_known else handlers.for_stranger(path)

    def _failing(self, path: str, error: Exception) -> grpc.RpcMethodHandler[Any, Any]:
        if isinstance(error, RequestError):  # the server is stopping, or has no room
            return _ending(_STATUS_CODES[error.code], error.message)
        self._log.append_bug(path, error)
        return _ending(grpc.StatusCode.INTERNAL, f"internal error in {path}: {error!r}")


class _Ending:
    """Ends every call with one status, and reads no message of it."""

    __slots__ = ("_code", "_text", "how")

    def __init__(self, code: grpc.StatusCode, text: str) -> None:
        self._code = code
        self._text = text
        self.how = HowToServe(Lane.STRANGER, has_stream=True, needs_message=False)

    def __call__(self, _requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        context.abort(self._code, self._text)


def _ending(code: grpc.StatusCode, text: str) -> grpc.RpcMethodHandler[Any, Any]:
    # A handler of a stream: for all others gRPC receives the message before it calls them.
    return grpc.stream_unary_rpc_method_handler(_Ending(code, text), None, None)


_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
_REFUSED = _ending(grpc.StatusCode.UNAUTHENTICATED, _HINT)
