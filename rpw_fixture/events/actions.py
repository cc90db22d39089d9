"""The names of actions in events, and the places where actions run."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Mode(StrEnum):
    """The source of an action's result."""

    WORKER = "worker"
    ONE_SHOT = "one-shot"
    CACHE = "cache"
    UNSEEN = "unseen"
    """Only a test on a server that is not embedded has this: neither events nor results show it."""


class ActionIdentity(NamedTuple):
    """The names of one execution of an action.

    Attributes:
        digest: of the Action, as ``hash/size``.
        operation: name of the first operation that waits for the execution.
        mnemonic, target, invocation: from the client's RequestMetadata, else empty.
    """

    digest: str
    operation: str
    mnemonic: str = ""
    target: str = ""
    invocation: str = ""
