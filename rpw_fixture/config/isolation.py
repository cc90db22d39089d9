"""The values of the setting ``isolation``."""

from __future__ import annotations

from enum import StrEnum


class IsolationKind(StrEnum):
    """The kernel feature that keeps a process away from the rest of the machine."""

    NONE = "none"
    LANDLOCK = "landlock"
    NAMESPACES = "namespaces"
