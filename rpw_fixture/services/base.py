"""What all gRPC services share: how methods become handlers, and errors become statuses.

A service is a class with one method for each RPC:

    class OperationsService(Service):
        name = "google.longrunning.Operations"

        @rpc("GetOperation")
        def get_operation(
            self, request: longrunning.GetOperationRequest, call: Call
        ) -> longrunning.Operation:
            ...

    server.add_generic_rpc_handlers([Handlers(services, events=log)])

- A method gets the decoded request, or for streams an iterator of them, and the `Call`. It returns
  the response, or an iterator of them. Which side streams is the protocol's to know.
- A response may be bytes, the encoded message, where a message object would cost too much. For the
  same reason ``@rpc(..., decode=function)`` puts something else in the place of decoded requests.
- A response stream that waits for anything but its client yields a `Pause` there and is marked
  ``@rpc(..., pauses=True)``: it has no thread until it goes on. Interceptors pass pauses on.
- It raises `RequestError` for every status but OK. A client that went away surfaces as
  `grpc.RpcError` while requests are read; let it pass. Anything else that is raised is a bug of
  this server: the client sees INTERNAL, never UNKNOWN (clients retry that until the bug hides),
  and an `InternalError` event is recorded.
- An interceptor gets the protocol's `Method` and the handler once, as the server is built, and
  returns the handler to use instead: it sees every request and response (or iterates over them),
  and may raise what a handler may raise. Without interceptors nothing is added to a call.
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
from rpw_fixture.services.calls.waiting_streams import WaitingStream
from rpw_fixture.support.pausing import Pause, blocking
from rpw_fixture.wire.protos import Method, methods
from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.statuses import status_of

#: Takes a request (or an iterator of them) and the call, gives a response (or an iterator of them).
Handler = Callable[[Any, "Call"], Any]
#: Gives the handler to use instead of the one it is given.
Interceptor = Callable[[Method, Handler], Handler]

REQUEST_METADATA_KEY = "build.bazel.remote.execution.v2.requestmetadata-bin"
_DETAILS_KEY = "grpc-status-details-bin"
_STATUS_CODES = {code.value[0]: code for code in grpc.StatusCode}
# Clients accept 8 KiB of trailers by default (HTTP/2 header lists in grpc-java and grpc core), and
# details travel in base64. A client uploads what is named and is told the rest the next time.
_DETAILS_BYTES = 4500
#: What a violation takes beside its subject.
_VIOLATION_BYTES = 20
_LONGEST_MESSAGE = 1024
_F = TypeVar("_F", bound=Callable[..., Any])


class Call:
    """One call while it is served.

    Attributes:
        context: gRPC's own object for it.
        method: which RPC it is.
        request_bytes: size of the encoded request; 0 where requests are a stream.
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
        """What the client says of itself and its build; empty when it says nothing readable."""
        if self._request_metadata is None:
            self._request_metadata = _request_metadata(self.context)
        return self._request_metadata


class Service:
    """Base of all services.

    Attributes:
        name: the protocol's full name of the service.
        is_public: clients without a valid token may call it, for a few seconds.
    """

    name: ClassVar[str]
    is_public: ClassVar[bool] = False


class _Mark(NamedTuple):
    """What `rpc` says of a method."""

    name: str
    decode: Callable[[bytes], Any] | None
    pauses: bool


def rpc(
    name: str, *, decode: Callable[[bytes], Any] | None = None, pauses: bool = False
) -> Callable[[_F], _F]:
    """Marks a method of a `Service` as the implementation of the RPC ``name``.

    Args:
        decode: makes a request out of bytes, or raises DecodeError; None: as the protocol says.
        pauses: its responses are a stream in which `Pause` may occur.
    """

    def mark(function: _F) -> _F:
        function.__rpc__ = _Mark(name, decode, pauses)  # type: ignore[attr-defined]  # functions take it
        return function

    return mark


class Handlers(grpc.GenericRpcHandler):
    """Services as gRPC wants them.

    Args:
        services: whose RPCs are served.
        events: where internal errors are recorded.
        interceptors: put around every handler; the first one is the outermost.
        executor: what the gRPC server submits its calls to; None if it is none of ours.
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
        """What serves a call; None when there is no such RPC."""
        return self._by_path.get(handler_call_details.method)

    def for_stranger(self, path: str) -> grpc.RpcMethodHandler[Any, Any] | None:
        """What serves a call without a valid token; None when it is refused."""
        return self._public.get(path)


class _Behavior:
    """What gRPC calls to serve a call; the executor finds in ``how`` what it has to know."""

    __slots__ = ("_serve", "experimental_non_blocking", "how")

    def __init__(self, serve: Callable[..., Any], how: HowToServe, *, is_pausing: bool) -> None:
        self._serve = serve
        self.how = how
        #: gRPC's name for handlers that get a function to send responses with.
        self.experimental_non_blocking = is_pausing

    def __call__(self, *arguments: Any) -> Any:
        return self._serve(*arguments)


class _Endpoint:
    """One RPC between gRPC, which moves bytes, and a handler, which raises `RequestError`."""

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
        """The handler with as many streams as the protocol says, taking and giving bytes."""
        method = self._method
        make = {
            (False, False): grpc.unary_unary_rpc_method_handler,
            (False, True): grpc.unary_stream_rpc_method_handler,
            (True, False): grpc.stream_unary_rpc_method_handler,
            (True, True): grpc.stream_stream_rpc_method_handler,
        }[method.client_streaming, method.server_streaming]
        how = HowToServe(lane, has_stream=method.client_streaming)
        is_pausing = self._pauses and self._executor is not None
        return make(_Behavior(self._server(lane), how, is_pausing=is_pausing), None, None)

    def _server(self, lane: Lane) -> Callable[..., Any]:
        """The function that serves a call in a lane."""
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
        """Serves without a thread while it pauses, where gRPC lets it: then it gives ``send``."""
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
            raise invalid_argument(f"the request is no {name}: {error}") from None

    def _fail(self, error: Exception, context: grpc.ServicerContext) -> NoReturn:
        if isinstance(error, grpc.RpcError):
            # The client went away. gRPC keeps its error with the call and the error's frames keep
            # the call: the connection would stay open until the garbage collector comes by.
            error.__traceback__ = None
            context.abort(grpc.StatusCode.CANCELLED, "the client went away")
        if not isinstance(error, RequestError):
            self._events.append_bug(self._method.path, error)
            error = RequestError(Code.INTERNAL, f"internal error in {self._method.path}: {error!r}")
        if error.missing:
            room = _DETAILS_BYTES // (len(error.missing[0]) + _VIOLATION_BYTES)
            status = status_of(error, most_violations=max(1, room))
            context.set_trailing_metadata(((_DETAILS_KEY, status.SerializeToString()),))
        context.abort(_STATUS_CODES[error.code], error.message[:_LONGEST_MESSAGE])


def _lane(method: Method, mark: _Mark) -> Lane:
    if mark.pauses:
        return Lane.WAITING
    return Lane.TRANSFER if method.client_streaming or method.server_streaming else Lane.UNARY


def _rpcs_of(service: Service) -> list[Any]:
    kind = type(service)
    names = (name for name in dir(kind) if hasattr(getattr(kind, name, None), "__rpc__"))
    return [getattr(service, name) for name in names]


def encoded(response: Message | bytes) -> bytes:
    """A response as it travels; for one that is encoded already that costs nothing."""
    return response if isinstance(response, bytes) else response.SerializeToString()


def _request_metadata(context: grpc.ServicerContext) -> reapi.RequestMetadata:
    for key, value in context.invocation_metadata():
        if key == REQUEST_METADATA_KEY and isinstance(value, bytes):
            try:
                return reapi.RequestMetadata.FromString(value)
            except DecodeError:
                break  # it only informs; no call may fail for it
    return reapi.RequestMetadata()
