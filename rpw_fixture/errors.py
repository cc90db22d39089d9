"""The errors of rpw_fixture: one small hierarchy with structured fields.

Here live exception types only. Each carries what a caller can act on, and its message says what to do
next. Nothing here imports gRPC: a status is a number of google.rpc.Code, and the services translate it.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Code(IntEnum):
    """Status codes, numbered as in google/rpc/code.proto (the same numbers as gRPC's own)."""

    OK = 0
    CANCELLED = 1
    UNKNOWN = 2
    INVALID_ARGUMENT = 3
    DEADLINE_EXCEEDED = 4
    NOT_FOUND = 5
    ALREADY_EXISTS = 6
    PERMISSION_DENIED = 7
    RESOURCE_EXHAUSTED = 8
    FAILED_PRECONDITION = 9
    ABORTED = 10
    OUT_OF_RANGE = 11
    UNIMPLEMENTED = 12
    INTERNAL = 13
    UNAVAILABLE = 14
    DATA_LOSS = 15
    UNAUTHENTICATED = 16


class RpwError(Exception):
    """Base of every error that rpw_fixture raises on purpose."""

    __module__ = "rpw_fixture"  # the public name, which tracebacks then show


class ConfigError(RpwError):
    """A setting or a command line that can't be used (exit code 2)."""

    __module__ = "rpw_fixture"


class EnvironmentLacksError(RpwError):
    """The machine lacks something the request needs, such as a free port or a program (exit code 3)."""

    __module__ = "rpw_fixture"


class RequestError(RpwError):
    """A client's request that gets a status other than OK.

    Args:
        code: the status the client sees.
        message: names the thing (digest, path, rule) that is wrong; clients print it verbatim.
        missing: subjects of ``MISSING`` violations, each ``blobs/[function/]hash/size``
            (remote_execution.proto, Execution.Execute).
    """

    __module__ = "rpw_fixture"

    def __init__(self, code: Code, message: str, *, missing: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.missing = tuple(missing)


def invalid_argument(message: str) -> RequestError:
    """The client broke a rule of the protocol; trying again can't help."""
    return RequestError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> RequestError:
    """The named blob, entry or operation is not here."""
    return RequestError(Code.NOT_FOUND, message)


def failed_precondition(message: str) -> RequestError:
    """The request is well formed but can't run; without details no client retries it."""
    return RequestError(Code.FAILED_PRECONDITION, message)


def resource_exhausted(message: str) -> RequestError:
    """A limit of this server, or its disk, is reached."""
    return RequestError(Code.RESOURCE_EXHAUSTED, message)


class BlobMissingError(RequestError):
    """A blob that had to be there is not in the store."""

    def __init__(self, subjects: Sequence[str]) -> None:
        names = ", ".join(subjects[:3]) + (", …" if len(subjects) > 3 else "")
        super().__init__(
            Code.FAILED_PRECONDITION,
            f"{len(subjects)} blob(s) missing from the CAS: {names}; upload them and try again",
            missing=subjects,
        )
