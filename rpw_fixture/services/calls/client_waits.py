"""Calls that have a thread while it is their client's turn: to send the next message, or to take one."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import grpc

if TYPE_CHECKING:
    from rpw_fixture.services.calls.lanes import Lane

_NEVER = float("inf")


class ClientWait:
    """One call.

    Attributes:
        lane: whose thread it has.
        since: when its client's turn began, monotonic seconds; infinite while it is the server's.
    """

    __slots__ = ("_context", "lane", "since")

    def __init__(self, context: grpc.ServicerContext, lane: Lane) -> None:
        self._context = context
        self.lane = lane
        self.since = _NEVER

    def begin(self) -> None:
        """Note that it is the client's turn."""
        self.since = time.monotonic()

    def end(self) -> None:
        """Note that the client has done its part."""
        self.since = _NEVER

    def cancel(self) -> None:
        """End the call; its thread gets an error from gRPC."""
        self._context.cancel()

    def sending(self, responses: Iterable[bytes]) -> Iterator[bytes]:
        """Pass responses on to gRPC, which asks for the next one when one was sent."""
        for response in responses:
            self.since = time.monotonic()
            yield response
            self.since = _NEVER

    def receiving(self, requests: Iterator[Any]) -> Iterator[Any]:
        """Pass requests on to a handler."""
        while True:
            self.since = time.monotonic()
            request = next(requests, None)
            self.since = _NEVER
            if request is None:
                return
            yield request


class ClientWaits:
    """All such calls of a server."""

    def __init__(self) -> None:
        self._open: set[ClientWait] = set()

    def open(self, context: grpc.ServicerContext, lane: Lane) -> ClientWait:
        """Begin to look at a call; `close` ends that."""
        wait = ClientWait(context, lane)
        self._open.add(wait)
        return wait

    def close(self, wait: ClientWait) -> None:
        """Look at the call no more."""
        self._open.discard(wait)

    def since(self) -> list[float]:
        """When each client's turn began, of those calls that wait for their client."""
        return [each.since for each in list(self._open) if each.since != _NEVER]

    def cancel_stalled(self, lane: Lane, before: float) -> None:
        """End the calls of a lane that have waited for their client since a time."""
        for each in list(self._open):
            if each.lane is lane and each.since < before:
                each.cancel()
