"""Lanes: kinds of calls, each with separate threads."""

from __future__ import annotations

from enum import Enum


class Lane(Enum):
    """Kinds of calls; each has threads that the others do not use."""

    UNARY = "call"
    TRANSFER = "transfer"
    WAITING = "waiting"
    STRANGER = "stranger"


class HowToServe:
    """The way in which the executor serves the calls of a handler; its attribute ``how``.

    Attributes:
        lane: whose threads it uses.
        has_stream: whether its requests are a stream.
        needs_message: whether the handler is called only after the first message has arrived.
    """

    __slots__ = ("has_stream", "lane", "needs_message")

    def __init__(
        self, lane: Lane = Lane.UNARY, *, has_stream: bool = False, needs_message: bool = True
    ) -> None:
        self.lane = lane
        self.has_stream = has_stream
        self.needs_message = needs_message
