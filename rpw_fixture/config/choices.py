"""The values of settings that accept only some texts."""

from __future__ import annotations

from enum import StrEnum


class IsolationKind(StrEnum):
    """The kernel feature that keeps a process away from the rest of the machine."""

    NONE = "none"
    LANDLOCK = "landlock"
    NAMESPACES = "namespaces"


class CommittedSize(StrEnum):
    """The ``committed_size`` in the response to a compressed upload."""

    #: The number of compressed bytes, as remote_execution.proto says.
    WIRE = "wire"
    UNCOMPRESSED = "uncompressed"
    MINUS_ONE = "minus_one"
    #: The one that the client accepts, by its name.
    AUTO = "auto"
