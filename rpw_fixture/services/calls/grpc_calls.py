# ruff: noqa: SLF001 - this is the one place for private names
"""The calls of a gRPC server as gRPC's own code holds them; the only place that uses its private names.

The public API gives a call a thread before its first message is there, keeps one while a response is
on its way, and can't end a call from outside of its handler. What does better is private to
`grpc._server`, and unchanged from 1.62 to 1.85. Where it looks different, `IS_SUPPORTED` is false and
calls are served by the public API alone: correctly, but silent clients hold threads.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import grpc

#: Arguments of `submit` beside the function: what runs the call, its event, its state, the
#: handler, what gives the request, and two functions that convert messages.
_ARGUMENTS = 7
#: Names of what gRPC has asked for in a call and not got yet.
_TOKENS = (
    "_RECEIVE_MESSAGE_TOKEN",
    "_SEND_MESSAGE_TOKEN",
    "_SEND_INITIAL_METADATA_AND_SEND_MESSAGE_TOKEN",
)


class ServerCall:
    """One call that no thread serves yet.

    Attributes:
        handler: what was given to gRPC to serve the call.
    """

    __slots__ = ("_arguments", "_event", "_run", "_state", "_take_request", "handler")

    def __init__(self, run: Callable[..., object], arguments: Sequence[Any]) -> None:
        self._run = run
        self._arguments = arguments
        _, self._event, self._state, self.handler, self._take_request, _, _ = arguments

    def receive(self, on_arrival: Callable[[ServerCall, bytes | None], None]) -> None:
        """Ask for the first message.

        Args:
            on_arrival: gets this call and the message, or None when the client sends none. gRPC's
                thread calls it, unless the client has gone; it must not block or raise.
        """
        state = self._state
        note = _server._receive_message(state, self._event.call, None)

        def arrived(event: Any) -> Any:
            done = note(event)
            with state.condition:
                message, state.request = state.request, None
                is_active = self.is_active
            if is_active:
                on_arrival(self, message)
            return done

        with state.condition:
            self._event.call.start_server_batch((_cygrpc.ReceiveMessageOperation(0),), arrived)
            state.due.add(_server._RECEIVE_MESSAGE_TOKEN)

    def serve(self) -> None:
        """Serve the call in this thread, as gRPC would; it asks for the first message itself."""
        self._run(*self._arguments)

    def serve_message(self, message: bytes | None, *, is_stream: bool) -> None:
        """Serve the call in this thread.

        Args:
            message: the first message.
            is_stream: the handler takes a stream of messages, which goes on behind the first one.
        """
        function, event, state, handler, take, *rest = self._arguments
        if is_stream:
            request: Any = _Stream(message, take())
            message = None
        else:
            request = message
        self._run(function, event, state, handler, lambda: request, *rest)

    @property
    def is_active(self) -> bool:
        """Whether the client is there and has no status yet."""
        return bool(_server._is_rpc_state_active(self._state))

    def end(self, code: grpc.StatusCode, text: str) -> None:
        """End the call with a status, or by cancelling it when a response is on its way."""
        state = self._state
        with state.condition:
            if not self.is_active:
                return
            if any("send" in str(token) for token in state.due):
                self._event.call.cancel()
                return
            state.code, state.details = code, text.encode()
            _server._abort(state, self._event.call, _cygrpc.StatusCode.unknown, b"")


class Sender:
    """Sends the responses of one call without a thread that waits until they have left.

    Args:
        context: gRPC's object for the call; `is_supported` has to be true of it.
    """

    __slots__ = ("_event", "_state")

    def __init__(self, context: Any) -> None:
        self._event = context._rpc_event
        self._state = context._state

    @staticmethod
    def is_supported(context: grpc.ServicerContext) -> bool:
        """Whether this version of gRPC can do it."""
        return IS_SUPPORTED and isinstance(context, _server._Context)

    def send(self, data: bytes, on_sent: Callable[[], None]) -> None:
        """Send a response; the last one must have left.

        Args:
            data: the encoded response.
            on_sent: called when it has left, or can't; by gRPC's thread.
        """
        state = self._state
        with state.condition:
            if not _server._is_rpc_state_active(state):
                return
            operations = [_cygrpc.SendMessageOperation(data, 0)]
            token = _server._SEND_MESSAGE_TOKEN
            if state.initial_metadata_allowed:
                operations.insert(0, _server._get_initial_metadata_operation(state, None))
                token = _server._SEND_INITIAL_METADATA_AND_SEND_MESSAGE_TOKEN
                state.initial_metadata_allowed = False
            note = _server._send_message(state, token)

            def sent(event: Any) -> Any:
                done = note(event)
                on_sent()
                return done

            self._event.call.start_server_batch(operations, sent)
            state.due.add(token)

    def finish(self, data: bytes | None) -> None:
        """End the call with the status of its context, behind a last response if there is one."""
        with self._state.condition:
            if _server._is_rpc_state_active(self._state):
                _server._status(self._event, self._state, data)


class BlockingSender:
    """As `Sender`, by the public API: it waits until each response has left.

    Args:
        send: sends a response; None ends the call.
    """

    __slots__ = ("_send",)

    def __init__(self, send: Callable[[bytes | None], None]) -> None:
        self._send = send

    def send(self, data: bytes, on_sent: Callable[[], None]) -> None:
        """See `Sender.send`."""
        self._send(data)
        on_sent()

    def finish(self, data: bytes | None) -> None:
        """See `Sender.finish`."""
        if data is not None:
            self._send(data)
        self._send(None)


class _Stream:
    """A stream of requests whose first one was received already."""

    __slots__ = ("_first", "_rest")

    def __init__(self, first: bytes | None, rest: Any) -> None:
        self._first = first
        self._rest = rest

    def __iter__(self) -> _Stream:
        return self

    def __next__(self) -> Any:
        first, self._first = self._first, None
        return next(self._rest) if first is None else first


def server_call(run: Callable[..., object], arguments: Sequence[Any]) -> ServerCall | None:
    """The call that gRPC gives to its executor; None when that is nothing known here."""
    if not IS_SUPPORTED or len(arguments) != _ARGUMENTS:
        return None
    return ServerCall(run, arguments) if isinstance(arguments[2], _server._RPCState) else None


def _is_supported() -> bool:
    """Whether everything used above looks as it should."""
    try:
        state = _server._RPCState()
        parameters = {
            _server._receive_message: ["state", "call", "request_deserializer"],
            _server._abort: ["state", "call", "code", "details"],
            _server._is_rpc_state_active: ["state"],
            _server._send_message: ["state", "token"],
            _server._status: ["rpc_event", "state", "serialized_response"],
            _server._get_initial_metadata_operation: ["state", "metadata"],
        }
        return (
            all(_parameters(each) == parameters[each] for each in parameters)
            and isinstance(state.due, set)
            and state.request is state.code is state.details is None
            and callable(state.condition.acquire)
            and state.initial_metadata_allowed is True
            and all(isinstance(getattr(_server, each), str) for each in _TOKENS)
            and callable(_cygrpc.ReceiveMessageOperation)
            and callable(_cygrpc.SendMessageOperation)
            and isinstance(_server._Context, type)
            and bool(_server._is_rpc_state_active(state))
        )
    except (AttributeError, TypeError, ValueError):
        return False


def _parameters(function: Any) -> list[str]:
    code = function.__code__
    return list(code.co_varnames[: code.co_argcount])


try:
    _server: Any = importlib.import_module("grpc._server")
    _cygrpc: Any = importlib.import_module("grpc._cython.cygrpc")
except ImportError:
    _server = _cygrpc = None

#: Whether this version of gRPC is one whose calls can be taken apart.
IS_SUPPORTED = _is_supported()
