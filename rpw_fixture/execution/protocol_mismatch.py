"""Hints for a worker that fails because it gets requests in a protocol that it does not use."""

from __future__ import annotations

from rpw_fixture.wire.worker.messages import ProtocolRule
from rpw_fixture.wire.worker.proto_encoding import SPEAKS_JSON
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.personalities.rules import Personality

#: Failures of a worker that does not understand its first request.
_SIGNS = {
    Retirement.CRASH.value,
    Retirement.TIMEOUT.value,
    ProtocolRule.TRUNCATED.value,
    ProtocolRule.MALFORMED.value,
    ProtocolRule.OVERSIZED.value,
}
_OTHERS = {"proto": "json", "json": "proto"}


def note_on(failure: WorkerFailure, asked: str, rules: Personality) -> str:
    """Return a hint for a worker that failed before its first response; empty if it is not likely.

    Args:
        failure: failure of the worker.
        asked: protocol of its requests.
        rules: the personality's; some servers use only proto.
    """
    wrote_json = SPEAKS_JSON in failure.detail
    if not wrote_json and failure.rule not in _SIGNS:
        return ""
    other, protocols = _OTHERS[asked], rules.protocols.value
    if other not in protocols.accepted:
        return "(this server's personality speaks only proto with workers)"
    setting = f'{protocols.name}={other}, in an Action or a suite protocol="{other}"'
    if wrote_json:
        return f"({setting})"
    return f"(it was asked in {asked}; if it speaks {other}, set {setting})"
