"""The worker protocol from the server's side, without any I/O.

A `Connection` is fed with what the worker's stdout yields and says what that means; it gives out the
bytes to write. It keeps, for each request, one of the states below, and refuses every response that
the table has no way for. Times, pipes and processes are somebody else's.
"""

from __future__ import annotations

import dataclasses
from enum import Enum, auto

from rpw_fixture.wire.worker.messages import Encoding, FrameError, ProtocolRule, Request, Response
from rpw_fixture.wire.worker.stray_output import surplus, truncated


class RequestState(Enum):
    """Where one request stands."""

    UNKNOWN = auto()
    SENT = auto()
    CANCELLING = auto()
    ANSWERED = auto()
    CANCELLED = auto()


class Signal(Enum):
    """What can happen to a request."""

    SEND = auto()
    CANCEL = auto()
    RESPONSE = auto()
    RESPONSE_CANCELLED = auto()


#: Every way there is. A response that has none is a violation; a cancel that has none does nothing.
TRANSITIONS: dict[tuple[RequestState, Signal], RequestState] = {
    (RequestState.UNKNOWN, Signal.SEND): RequestState.SENT,
    (RequestState.SENT, Signal.RESPONSE): RequestState.ANSWERED,
    (RequestState.SENT, Signal.CANCEL): RequestState.CANCELLING,
    (RequestState.CANCELLING, Signal.RESPONSE): RequestState.ANSWERED,
    (RequestState.CANCELLING, Signal.RESPONSE_CANCELLED): RequestState.CANCELLED,
}


class Connection:
    """One worker's conversation.

    Not safe for use by several threads at a time.

    Args:
        encoding: proto or JSON.
        max_frame_bytes: the largest response accepted.
        checks_request_id: a response must carry the id of an open request; else, with a single one
            open, any id will do, as for servers that never look.
        checks_was_cancelled: only a request that was sent a cancel may be answered so.
    """

    def __init__(
        self,
        encoding: Encoding,
        max_frame_bytes: int,
        *,
        checks_request_id: bool = True,
        checks_was_cancelled: bool = True,
    ) -> None:
        self._encoding = encoding
        self._decoder = encoding.decoder(max_frame_bytes)
        self._checks_request_id = checks_request_id
        self._checks_was_cancelled = checks_was_cancelled
        self._open: dict[int, RequestState] = {}
        self._newest = -1

    @property
    def open_requests(self) -> int:
        """How many requests wait for their response."""
        return len(self._open)

    def send(self, request: Request) -> bytes:
        """The bytes of a request, which now waits for its response.

        Raises:
            ValueError: when a request of that id is open already.
        """
        self._open[request.request_id] = self._next(request.request_id, Signal.SEND)
        self._newest = request.request_id
        return self._encoding.encode(request)

    def cancel(self, request_id: int) -> bytes:
        """The bytes that ask the worker to give a request up; none when it is no longer open."""
        state = TRANSITIONS.get((self._state(request_id), Signal.CANCEL))
        if state is None:
            return b""
        self._open[request_id] = state
        return self._encoding.encode(Request(request_id=request_id, cancel=True))

    def receive(self, data: bytes) -> list[Response]:
        """The responses that ``data`` completes, each with the id of a request that was open.

        Raises:
            FrameError: when the worker broke the protocol; nothing it says later can be trusted.
        """
        responses = [self._closed(response) for response in self._decoder.feed(data)]
        if not self._open and self._decoder.pending:
            raise surplus(self._decoder.pending)
        return responses

    def end(self) -> None:
        """The worker's stdout has ended, or its time is up.

        Raises:
            FrameError: when that left a response half said.
        """
        if self._decoder.pending:
            raise truncated(self._decoder.pending)

    def describe_delay(self) -> str:
        """What there is of a response whose time is over, in words."""
        if not self._decoder.pending:
            return "no response within the action's timeout"
        late = "no complete response within the action's timeout"
        if self._decoder.lacks:
            late += f": it lacks {self._decoder.lacks}, and this server reads up to there"
        return f"{late}; {truncated(self._decoder.pending)}"

    def _closed(self, response: Response) -> Response:
        if not self._checks_request_id and len(self._open) == 1:
            response = dataclasses.replace(response, request_id=next(iter(self._open)))
        state = self._state(response.request_id)
        if state is RequestState.UNKNOWN:
            raise self._stray(response)
        signal = Signal.RESPONSE_CANCELLED if response.was_cancelled else Signal.RESPONSE
        if (state, signal) not in TRANSITIONS and self._checks_was_cancelled:
            raise FrameError(
                ProtocolRule.UNEXPECTED_CANCEL,
                f"the response to request {response.request_id} says was_cancelled, "
                "but nobody cancelled it",
            )
        del self._open[response.request_id]
        return response

    def _stray(self, response: Response) -> FrameError:
        if not self._open:
            return FrameError(
                ProtocolRule.UNEXPECTED_RESPONSE,
                f"a response with request_id {response.request_id} came, but no request is open",
            )
        if 0 < response.request_id <= self._newest:  # ids of multiplex requests only ever grow
            return FrameError(
                ProtocolRule.UNEXPECTED_RESPONSE,
                f"a second response to request {response.request_id} came",
            )
        waiting = ", ".join(map(str, sorted(self._open)))
        return FrameError(
            ProtocolRule.WRONG_REQUEST_ID,
            f"the response says request_id {response.request_id}; open is {waiting}",
        )

    def _state(self, request_id: int) -> RequestState:
        return self._open.get(request_id, RequestState.UNKNOWN)

    def _next(self, request_id: int, signal: Signal) -> RequestState:
        state = TRANSITIONS.get((self._state(request_id), signal))
        if state is None:
            raise ValueError(f"request {request_id} is open already")
        return state
