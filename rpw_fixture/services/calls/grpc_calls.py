# ruff: noqa: SLF001 - this is the one place for private names
"""Receives and sends messages of calls by gRPC's private API; no other module uses private names of gRPC.

With the public API, a call has a thread before its first message arrives and while a response is sent,
and only its handler can end it. The private API of `grpc._server` has no such limits; the parts used here
are the same from 1.62 to 1.85. With any other version `IS_SUPPORTED` is false and calls are served by the
public API: correctly, but silent clients hold threads.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import grpc

#: Number of arguments of `submit` after the function that runs the call: a function that calls the
#: handler, event, state, handler, a function that returns the request, and two that convert messages.
_ARGUMENTS = 7
#: Names of gRPC's tokens for pending operations of a call.
_TOKENS = (
    "_RECEIVE_MESSAGE_TOKEN",
    "_SEND_MESSAGE_TOKEN",
    "_SEND_INITIAL_METADATA_AND_SEND_MESSAGE_TOKEN",
)


class ServerCall:
    """A call that no thread serves yet.

    Attributes:
        handler: the function that was passed to gRPC to serve the call.
    """

    __slots__ = ("_arguments", "_event", "_run", "_state", "_take_request", "handler")

    def __init__(self, run: Callable[..., object], arguments: Sequence[Any]) -> None:
        self._run = run
        self._arguments = arguments
        _, self._event, self._state, self.handler, self._take_request, _, _ = arguments

    def receive(self, on_arrival: Callable[[ServerCall, bytes | None], None]) -> None:
        """Ask for the first message.

        Args:
            on_arrival: called with this call and the message, or None when the client sends none. gRPC's
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
        """Serve the call in this thread as gRPC does, which asks for the first message itself."""
        self._run(*self._arguments)

    def serve_message(self, message: bytes | None, *, is_stream: bool) -> None:
        """Serve the call in this thread.

        Args:
            message: the first message.
            is_stream: whether the handler takes a stream of messages, which continues after it.
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
        """Whether the client is connected and has got no status yet."""
        return bool(_server._is_rpc_state_active(self._state))

    def end(self, code: grpc.StatusCode, text: str) -> None:
        """End the call with a status, or cancel it while a response is being sent."""
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
    """Sends the responses of a call, without a thread that waits until they are sent.

    Args:
        context: gRPC's object for the call; `is_supported` has to be true of it.
    """

    __slots__ = ("_event", "_state")

    def __init__(self, context: Any) -> None:
        self._event = context._rpc_event
        self._state = context._state

    @staticmethod
    def is_supported(context: grpc.ServicerContext) -> bool:
        """Return whether this version of gRPC supports it."""
        return IS_SUPPORTED and isinstance(context, _server._Context)

    def send(self, data: bytes, on_sent: Callable[[], None]) -> None:
        """Send a response, after the one before was sent.

        Args:
            data: the encoded response.
            on_sent: gRPC's thread calls it when the response was sent, or can't be.
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
        """End the call with the status of its context, after a last response if there is one."""
        with self._state.condition:
            if _server._is_rpc_state_active(self._state):
                _server._status(self._event, self._state, data)


class BlockingSender:
    """A `Sender` by the public API: it waits until each response is sent.

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
    """A stream of requests, of which the first was received already."""

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
    """Return the call that gRPC passes to its executor; None when the arguments are unknown."""
    if not IS_SUPPORTED or len(arguments) != _ARGUMENTS:
        return None
    return ServerCall(run, arguments) if isinstance(arguments[2], _server._RPCState) else None


def _is_supported() -> bool:
    """Return whether the private names used here are as expected."""
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

#: Whether this version of gRPC is supported by this module.
IS_SUPPORTED = _is_supported()
