"""The worker protocol from the server's side, without any I/O.

A `Connection` takes the bytes from the worker's stdout and returns responses; it returns the bytes to
write for each request. It keeps one of the states below for each request, and refuses every response
for which the table has no transition. It knows nothing of time, pipes and processes.
"""

from __future__ import annotations

import dataclasses
from enum import Enum, auto

from rpw_fixture.wire.worker.json_encoding import intended_field
from rpw_fixture.wire.worker.messages import Encoding, FrameError, ProtocolRule, Request, Response
from rpw_fixture.wire.worker.stray_output import surplus, truncated


class RequestState(Enum):
    """The state of one request."""

    UNKNOWN = auto()
    SENT = auto()
    CANCELLING = auto()
    ANSWERED = auto()
    CANCELLED = auto()


class RequestEvent(Enum):
    """An event that changes the state of a request."""

    SEND = auto()
    CANCEL = auto()
    RESPONSE = auto()
    RESPONSE_CANCELLED = auto()


#: Every transition. A response without one is a violation; a cancel without one does nothing.
TRANSITIONS: dict[tuple[RequestState, RequestEvent], RequestState] = {
    (RequestState.UNKNOWN, RequestEvent.SEND): RequestState.SENT,
    (RequestState.SENT, RequestEvent.RESPONSE): RequestState.ANSWERED,
    (RequestState.SENT, RequestEvent.CANCEL): RequestState.CANCELLING,
    (RequestState.CANCELLING, RequestEvent.RESPONSE): RequestState.ANSWERED,
    (RequestState.CANCELLING, RequestEvent.RESPONSE_CANCELLED): RequestState.CANCELLED,
}


class Connection:
    """The protocol state of the conversation with one worker.

    Not thread-safe.

    Args:
        encoding: proto or JSON.
        max_frame_bytes: size of the largest response accepted.
        checks_request_id: a response must carry the id of an open request; otherwise, while one
            request is open, any id is accepted, as by servers that ignore the id.
        checks_was_cancelled: only the response to a cancelled request may set was_cancelled.
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
        """Number of requests that wait for their response."""
        return len(self._open)

    @property
    def unterminated(self) -> int:
        """Number of JSON responses so far that no newline followed."""
        return self._decoder.unterminated

    def send(self, request: Request) -> bytes:
        """Return the bytes of a request, and count it as open.

        Raises:
            ValueError: when a request with that id is open already.
        """
        self._open[request.request_id] = self._next(request.request_id, RequestEvent.SEND)
        self._newest = request.request_id
        return self._encoding.encode(request)

    def cancel(self, request_id: int) -> bytes:
        """Return the bytes of a cancel message; empty when the request is no longer open."""
        state = TRANSITIONS.get((self._state(request_id), RequestEvent.CANCEL))
        if state is None:
            return b""
        self._open[request_id] = state
        return self._encoding.encode(Request(request_id=request_id, cancel=True))

    def receive(self, data: bytes) -> list[Response]:
        """Return the responses that ``data`` completes, each with the id of a request that was open.

        Raises:
            FrameError: when the worker broke the protocol; its later output can't be trusted.
        """
        responses = [self._closed(response) for response in self._decoder.feed(data)]
        if not self._open and self._decoder.pending:
            raise surplus(self._decoder.pending)
        return responses

    def end(self) -> None:
        """Accept the end of the worker's stdout.

        Raises:
            FrameError: when a response is incomplete.
        """
        if self._decoder.pending:
            raise truncated(self._decoder.pending)

    def describe_delay(self) -> str:
        """Return a text about a response that did not arrive in time, and what arrived of it."""
        if not self._decoder.pending:
            return "no response within the action's timeout"
        late = "no complete response within the action's timeout"
        if self._decoder.lacks:
            late += f": it lacks {self._decoder.lacks}, which this server waits for"
        return f"{late}; {truncated(self._decoder.pending)}"

    def _closed(self, response: Response) -> Response:
        if not self._checks_request_id and len(self._open) == 1:
            response = dataclasses.replace(response, request_id=next(iter(self._open)))
        state = self._state(response.request_id)
        if state is RequestState.UNKNOWN:
            raise self._stray(response)
        event = RequestEvent.RESPONSE_CANCELLED if response.was_cancelled else RequestEvent.RESPONSE
        if (state, event) not in TRANSITIONS and self._checks_was_cancelled:
            raise FrameError(
                ProtocolRule.UNEXPECTED_CANCEL,
                f"the response to request {response.request_id} says was_cancelled, "
                "but it was not cancelled",
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
            f"the response says request_id {response.request_id}; open: {waiting}"
            + "".join(
                f"; its field {name!r} is ignored, because JSON names it requestId"
                for name, _ in response.ignored
                if intended_field(name) == "requestId"
            ),
        )

    def _state(self, request_id: int) -> RequestState:
        return self._open.get(request_id, RequestState.UNKNOWN)

    def _next(self, request_id: int, event: RequestEvent) -> RequestState:
        state = TRANSITIONS.get((self._state(request_id), event))
        if state is None:
            raise ValueError(f"request {request_id} is open already")
        return state
