"""How events name an action, and where it ran."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Mode(StrEnum):
    """Where an action's result comes from."""

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
