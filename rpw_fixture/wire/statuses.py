"""Turns errors into google.rpc.Status messages, which REAPI clients read.

The caller sends them, in trailing metadata or inside an ExecuteResponse.
"""

from __future__ import annotations

from rpw_fixture.errors import RequestError
from rpw_fixture.wire.protos import rpc
from rpw_fixture.wire.raw_messages import packed


def status_of(error: RequestError, *, most_violations: int | None = None) -> rpc.Status:
    """Return the status for ``error``.

    Missing blobs become one PreconditionFailure with violations of type ``MISSING``. There must be no
    other detail, or Bazel does not upload them (its ExecuteRetrier).

    Args:
        most_violations: name at most this many missing blobs; None for all.
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
