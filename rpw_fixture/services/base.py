"""The base of all gRPC services: makes handlers of methods, and statuses of errors.

A service is a class with one method for each RPC:

    class OperationsService(Service):
        name = "google.longrunning.Operations"

        @rpc("GetOperation")
        def get_operation(
            self, request: longrunning.GetOperationRequest, call: Call
        ) -> longrunning.Operation:
            ...

    server.add_generic_rpc_handlers([Handlers(services, events=log)])

- A method gets the decoded request, or an iterator of requests, and the `Call`. It returns the
  response, or an iterator of responses. The protocol defines which sides stream.
- A response may be bytes, the encoded message, where a message object takes too long. For the same
  reason ``@rpc(..., decode=function)`` replaces the decoding of requests.
- A response stream that waits for something other than its client yields a `Pause` and is marked
  ``@rpc(..., pauses=True)``: it needs no thread during the pause. Interceptors pass pauses on.
- A method raises `RequestError` for every status but OK. When the client has gone, reading requests
  raises `grpc.RpcError`; do not catch it. Any other exception is a bug of this server: the client
  gets INTERNAL, never UNKNOWN (which clients retry, hiding the bug), and an `InternalError` event is
  recorded.
- An interceptor gets the protocol's `Method` and the handler once, when the server is built, and
  returns the handler to use instead. That handler sees every request and response (or iterates over
  them), and may raise what a handler may raise. Without interceptors a call costs nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, NamedTuple, NoReturn, TypeVar

import grpc
from google.protobuf.message import DecodeError, Message

from rpw_fixture.errors import Code, RequestError, invalid_argument
from rpw_fixture.events.log import EventLog
from rpw_fixture.services.calls.executor import CallExecutor
from rpw_fixture.services.calls.lanes import HowToServe, Lane
from rpw_fixture.services.calls.status_codes import STATUS_CODES
from rpw_fixture.services.calls.waiting_streams import WaitingStream
from rpw_fixture.support.pausing import Pause, blocking
from rpw_fixture.wire.protos import Method, methods
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.statuses import status_of

#: Takes a request (or an iterator of them) and the call, returns a response (or an iterator of them).
Handler = Callable[[Any, "Call"], Any]
#: Takes a handler, returns the handler to use instead.
Interceptor = Callable[[Method, Handler], Handler]

REQUEST_METADATA_KEY = "build.bazel.remote.execution.v2.requestmetadata-bin"
_DETAILS_KEY = "grpc-status-details-bin"
# Clients accept 8 KiB of trailers by default (HTTP/2 header lists in grpc-java and grpc core), and
# details are sent in base64. A client uploads the blobs that are named, and learns of others by the
# next error.
_DETAILS_BYTES = 4500
#: Bytes of a violation besides its subject.
_VIOLATION_BYTES = 20
_LONGEST_MESSAGE = 1024
_F = TypeVar("_F", bound=Callable[..., Any])


class Call:
    """A call in progress.

    Attributes:
        context: gRPC's object for it.
        method: its RPC.
        request_bytes: size of the encoded request; 0 for a stream of requests.
    """

    __slots__ = ("_request_metadata", "context", "method", "request_bytes")

    def __init__(
        self, context: grpc.ServicerContext, method: Method, request_bytes: int = 0
    ) -> None:
        self.context = context
        self.method = method
        self.request_bytes = request_bytes
        self._request_metadata: reapi.RequestMetadata | None = None

    @property
    def request_metadata(self) -> reapi.RequestMetadata:
        """Information about the client and its build; empty when it is missing or invalid."""
        if self._request_metadata is None:
            self._request_metadata = _request_metadata(self.context)
        return self._request_metadata


class Service:
    """The base class of services.

    Attributes:
        name: the protocol's full name of the service.
        is_public: whether clients without a valid token may call it, for a few seconds.
    """

    name: ClassVar[str]
    is_public: ClassVar[bool] = False


class _Mark(NamedTuple):
    """The arguments of `rpc`."""

    name: str
    decode: Callable[[bytes], Any] | None
    pauses: bool


def rpc(
    name: str, *, decode: Callable[[bytes], Any] | None = None, pauses: bool = False
) -> Callable[[_F], _F]:
    """Mark a method of a `Service` as the implementation of an RPC.

    Args:
        name: of the RPC.
        decode: decodes a request, or raises DecodeError; None for the protocol's message class.
        pauses: whether its response stream may contain a `Pause`.
    """

    def mark(function: _F) -> _F:
        function.__rpc__ = _Mark(name, decode, pauses)  # type: ignore[attr-defined]  # functions have a __dict__
        return function

    return mark


class Handlers(grpc.GenericRpcHandler):
    """Services as a handler of gRPC.

    Args:
        services: serve the RPCs.
        events: where internal errors are recorded.
        interceptors: wrap every handler; the first one is the outermost.
        executor: the executor of the gRPC server, if it is a `CallExecutor`.
    """

    def __init__(
        self,
        services: Iterable[Service],
        *,
        events: EventLog,
        interceptors: Sequence[Interceptor] = (),
        executor: CallExecutor | None = None,
    ) -> None:
        self._by_path: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        self._public: dict[str, grpc.RpcMethodHandler[Any, Any]] = {}
        for service in services:
            known = methods(service.name)
            for function in _rpcs_of(service):
                mark: _Mark = function.__rpc__
                method = known[mark.name]
                handler: Handler = function
                for interceptor in reversed(interceptors):
                    handler = interceptor(method, handler)
                endpoint = _Endpoint(method, handler, mark, events, executor)
                self._by_path[method.path] = endpoint.as_grpc(_lane(method, mark))
                if service.is_public:
                    self._public[method.path] = endpoint.as_grpc(Lane.STRANGER)

    def service(
        self, handler_call_details: grpc.HandlerCallDetails
    ) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call; None for an unknown RPC."""
        return self._by_path.get(handler_call_details.method)

    def for_stranger(self, path: str) -> grpc.RpcMethodHandler[Any, Any] | None:
        """Return the handler of a call without a valid token; None when it is refused."""
        return self._public.get(path)


class _Behavior:
    """The function that gRPC calls to serve a call; the executor reads its ``how``."""

    __slots__ = ("_serve", "experimental_non_blocking", "how")

    def __init__(self, serve: Callable[..., Any], how: HowToServe, *, is_pausing: bool) -> None:
        self._serve = serve
        self.how = how
        #: gRPC's attribute of handlers that get a function to send responses.
        self.experimental_non_blocking = is_pausing

    def __call__(self, *arguments: Any) -> Any:
        return self._serve(*arguments)


class _Endpoint:
    """Connects an RPC of gRPC, which transfers bytes, to its handler, which raises `RequestError`."""

    def __init__(
        self,
        method: Method,
        handler: Handler,
        mark: _Mark,
        events: EventLog,
        executor: CallExecutor | None,
    ) -> None:
        self._method = method
        self._handler = handler
        self._events = events
        self._parse = mark.decode or method.request_class.FromString
        self._pauses = mark.pauses
        self._executor = executor

    def as_grpc(self, lane: Lane) -> grpc.RpcMethodHandler[Any, Any]:
        """Return a gRPC handler for bytes, with streams as the protocol defines them."""
        method = self._method
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        how = HowToServe(lane, has_stream=method.client_streaming)
        is_pausing = self._pauses and self._executor is not None
        return make(_Behavior(self._serve_in(lane), how, is_pausing=is_pausing), None, None)

    def _serve_in(self, lane: Lane) -> Callable[..., Any]:
        """Return the function that serves a call in a lane."""
        executor, method = self._executor, self._method
        if self._pauses:
            return partial(self._pausing, lane)
        if executor is None:
            return self._stream if method.server_streaming else self._unary
        if method.server_streaming:
            return partial(self._download, executor, lane)
        return partial(self._upload, executor, lane) if method.client_streaming else self._unary

    def _upload(
        self,
        executor: CallExecutor,
        lane: Lane,
        raw: Iterator[bytes],
        context: grpc.ServicerContext,
    ) -> bytes:
        wait = executor.waits.open(context, lane)
        try:
            return self._unary(wait.receiving(raw), context)
        finally:
            executor.waits.close(wait)

    def _download(
        self, executor: CallExecutor, lane: Lane, raw: Any, context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        wait = executor.waits.open(context, lane)
        try:
            yield from wait.sending(self._stream(raw, context))
        finally:
            executor.waits.close(wait)

    def _pausing(
        self,
        lane: Lane,
        raw: Any,
        context: grpc.ServicerContext,
        send: Callable[[bytes | None], None] | None = None,
    ) -> Iterator[bytes] | None:
        """Serve a response stream, without a thread during pauses if gRPC passes ``send``."""
        responses = self._stream(raw, context)
        if send is None or self._executor is None:
            return blocking(responses, context.is_active)
        WaitingStream(responses, context, send, self._executor, lane).begin()
        return None

    def _unary(self, raw: Any, context: grpc.ServicerContext) -> bytes:
        try:
            return encoded(self._handler(self._request(raw), self._call(raw, context)))
        except Exception as error:  # noqa: BLE001 - every error becomes a status here
            self._fail(error, context)

    def _stream(self, raw: Any, context: grpc.ServicerContext) -> Generator[Any, None, None]:
        try:
            for response in self._handler(self._request(raw), self._call(raw, context)):
                yield response if isinstance(response, Pause) else encoded(response)
        except Exception as error:  # noqa: BLE001 - as above
            self._fail(error, context)

    def _call(self, raw: Any, context: grpc.ServicerContext) -> Call:
        return Call(context, self._method, 0 if self._method.client_streaming else len(raw))

    def _request(self, raw: Any) -> Any:
        return map(self._decode, raw) if self._method.client_streaming else self._decode(raw)

    def _decode(self, raw: bytes) -> Any:
        try:
            return self._parse(raw)
        except DecodeError as error:
            name = self._method.request_class.DESCRIPTOR.full_name
            raise invalid_argument(f"the request is not a {name}: {error}") from None

    def _fail(self, error: Exception, context: grpc.ServicerContext) -> NoReturn:
        if isinstance(error, grpc.RpcError):
            # The client has gone. gRPC keeps this error with the call, and the error's frames keep the
            # call, so the connection would stay open until the next garbage collection.
            error.__traceback__ = None
            context.abort(grpc.StatusCode.CANCELLED, "the client went away")
        if not isinstance(error, RequestError):
            self._events.append_bug(self._method.path, error)
            error = RequestError(Code.INTERNAL, f"internal error in {self._method.path}: {error!r}")
        if error.missing:
            room = _DETAILS_BYTES // (len(error.missing[0]) + _VIOLATION_BYTES)
            status = status_of(error, most_violations=max(1, room))
            context.set_trailing_metadata(((_DETAILS_KEY, status.SerializeToString()),))
        context.abort(STATUS_CODES[error.code], error.message[:_LONGEST_MESSAGE])


def _lane(method: Method, mark: _Mark) -> Lane:
    if mark.pauses:
        return Lane.WAITING
    return Lane.TRANSFER if method.client_streaming or method.server_streaming else Lane.UNARY


def _rpcs_of(service: Service) -> list[Any]:
    kind = type(service)
    names = (name for name in dir(kind) if hasattr(getattr(kind, name, None), "__rpc__"))
    return [getattr(service, name) for name in names]


def encoded(response: Message | bytes) -> bytes:
    """Return a response in its encoded form; bytes are returned unchanged."""
    return response if isinstance(response, bytes) else response.SerializeToString()


def _request_metadata(context: grpc.ServicerContext) -> reapi.RequestMetadata:
    for key, value in context.invocation_metadata():
        if key == REQUEST_METADATA_KEY and isinstance(value, bytes):
            try:
                return reapi.RequestMetadata.FromString(value)
            except DecodeError:
                break  # it only informs, so the call must not fail
    return reapi.RequestMetadata()
