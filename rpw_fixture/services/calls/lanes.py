"""Kinds of calls, and how each is served."""

from __future__ import annotations

from enum import Enum


class Lane(Enum):
    """Kinds of calls that do not take threads from each other."""

    UNARY = "call"
    TRANSFER = "transfer"
    WAITING = "waiting"
    STRANGER = "stranger"


class HowToServe:
    """What the executor has to know of a handler; handlers have it as attribute ``how``.

    Attributes:
        lane: whose threads serve it.
        has_stream: its requests are a stream.
        needs_message: nothing can be done before the first message is there.
    """

    __slots__ = ("has_stream", "lane", "needs_message")

    def __init__(
        self, lane: Lane = Lane.UNARY, *, has_stream: bool = False, needs_message: bool = True
    ) -> None:
        self.lane = lane
        self.has_stream = has_stream
        self.needs_message = needs_message
