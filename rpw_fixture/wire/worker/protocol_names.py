"""The names of the worker protocols, as actions and settings use them."""

from __future__ import annotations

from enum import StrEnum


class WorkerProtocol(StrEnum):
    """The encoding of requests and responses on the pipes of a worker."""

    PROTO = "proto"
    JSON = "json"

    @property
    def other(self) -> WorkerProtocol:
        """The protocol to try when this one got no answer."""
        return WorkerProtocol.JSON if self is WorkerProtocol.PROTO else WorkerProtocol.PROTO
