"""The errors of rpw_fixture: one small hierarchy with structured fields.

This module holds exception types only. Each has the fields that a caller can act on, and its message
names the fix. Nothing here imports gRPC: a status is a number of google.rpc.Code, which the services
translate.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum


class Code(IntEnum):
    """A status code, numbered as in google/rpc/code.proto (gRPC uses the same numbers)."""

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
    """The base of every error that rpw_fixture raises on purpose."""

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
        code: the status that the client sees.
        message: names what is wrong (digest, path, rule); clients print it verbatim.
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
    """Return the error of a request that breaks a rule of the protocol; retrying can't help."""
    return RequestError(Code.INVALID_ARGUMENT, message)


def not_found(message: str) -> RequestError:
    """Return the error of a request for a blob, entry or operation that is not stored."""
    return RequestError(Code.NOT_FOUND, message)


def failed_precondition(message: str) -> RequestError:
    """Return the error of a valid request that can't run; without details no client retries it."""
    return RequestError(Code.FAILED_PRECONDITION, message)


def resource_exhausted(message: str) -> RequestError:
    """Return the error of a request that exceeds a limit of this server or of its disk."""
    return RequestError(Code.RESOURCE_EXHAUSTED, message)


class BlobMissingError(RequestError):
    """A required blob that is not stored."""

    def __init__(self, subjects: Sequence[str]) -> None:
        names = ", ".join(subjects[:3]) + (", …" if len(subjects) > 3 else "")
        noun = "blob is" if len(subjects) == 1 else "blobs are"
        super().__init__(
            Code.FAILED_PRECONDITION,
            f"{len(subjects)} {noun} missing from the CAS: {names}; upload what is missing, then retry",
            missing=subjects,
        )


class Interrupted(KeyboardInterrupt):
    """A signal that ends a command early.

    Attributes:
        signal_name: such as ``SIGINT``.
        exit_code: what the process should exit with.
    """

    def __init__(self, signal_name: str, exit_code: int) -> None:
        super().__init__(f"interrupted by {signal_name}")
        self.signal_name = signal_name
        self.exit_code = exit_code
