"""Calls that hold a thread while their client sends or accepts a message."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from rpw_fixture.services.calls.lanes import Lane

_NEVER = float("inf")


class ClientWait:
    """A call that holds a thread, with the time since when it waits for its client.

    Attributes:
        lane: the lane of its thread.
        since: begin of the present wait, monotonic seconds; infinity while it does not wait.
    """

    __slots__ = ("_context", "lane", "since")

    def __init__(self, context: grpc.ServicerContext, lane: Lane) -> None:
        self._context = context
        self.lane = lane
        self.since = _NEVER

    def begin(self) -> None:
        """Note that a wait for the client begins."""
        self.since = time.monotonic()

    def end(self) -> None:
        """Note that the wait for the client ends."""
        self.since = _NEVER

    def cancel(self) -> None:
        """End the call; gRPC raises an error in its thread."""
        self._context.cancel()

    def sending(self, responses: Iterable[bytes]) -> Iterator[bytes]:
        """Yield responses to gRPC, which asks for the next one when one was sent."""
        for response in responses:
            self.since = time.monotonic()
            yield response
            self.since = _NEVER

    def receiving(self, requests: Iterator[Any]) -> Iterator[Any]:
        """Yield the client's requests to a handler."""
        while True:
            self.since = time.monotonic()
            request = next(requests, None)
            self.since = _NEVER
            if request is None:
                return
            yield request


class ClientWaits:
    """The calls of a server that hold a thread and may wait for their client."""

    def __init__(self) -> None:
        self._open: set[ClientWait] = set()

    def open(self, context: grpc.ServicerContext, lane: Lane) -> ClientWait:
        """Register a call, until `close`."""
        wait = ClientWait(context, lane)
        self._open.add(wait)
        return wait

    def close(self, wait: ClientWait) -> None:
        """Remove a call."""
        self._open.discard(wait)

    def since(self) -> list[float]:
        """Return the beginnings of all present waits, monotonic seconds."""
        return [each.since for each in list(self._open) if each.since != _NEVER]

    def cancel_stalled(self, lane: Lane, before: float) -> None:
        """End the calls of a lane that have waited for their client since ``before``, monotonic seconds."""
        for each in list(self._open):
            if each.lane is lane and each.since < before:
                each.cancel()
