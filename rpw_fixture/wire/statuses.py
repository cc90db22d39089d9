"""Errors as google.rpc.Status messages, the form in which REAPI clients read them.

How a status reaches the client (trailing metadata, or inside an ExecuteResponse) is not known here.
"""

from __future__ import annotations

from rpw_fixture.errors import RequestError
from rpw_fixture.wire.protos import rpc
from rpw_fixture.wire.raw_messages import packed


def status_of(error: RequestError, *, most_violations: int | None = None) -> rpc.Status:
    """The status that says what ``error`` says.

    Missing blobs become one PreconditionFailure with violations of type ``MISSING`` and nothing
    else, because any other detail keeps Bazel from uploading them (its ExecuteRetrier).

    Args:
        most_violations: name no more missing blobs than this.
    """
    status = rpc.Status(code=int(error.code), message=error.message)
    if error.missing:
        failure = rpc.PreconditionFailure(
            violations=[
                rpc.PreconditionFailure.Violation(type="MISSING", subject=subject)
                for subject in error.missing[:most_violations]
            ]
        )
        status.details.append(packed(failure))
    return status
