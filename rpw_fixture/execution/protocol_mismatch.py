"""What to say when a worker fails because it is asked in a protocol that it does not speak."""

from __future__ import annotations

from rpw_fixture.wire.worker.messages import ProtocolRule
from rpw_fixture.wire.worker.proto_encoding import SPEAKS_JSON
from rpw_fixture.workers.failure import WorkerFailure
from rpw_fixture.workers.lifecycle import Retirement
from rpw_fixture.workers.personalities.rules import Personality

#: How a worker may end that does not understand its first request.
_SIGNS = {
    Retirement.CRASH.value,
    Retirement.TIMEOUT.value,
    ProtocolRule.TRUNCATED.value,
    ProtocolRule.MALFORMED.value,
    ProtocolRule.OVERSIZED.value,
}
_OTHERS = {"proto": "json", "json": "proto"}


def note_on(failure: WorkerFailure, asked: str, rules: Personality) -> str:
    """Return the note for a worker that failed before it ever answered; empty when nothing hints at it.

    Args:
        failure: of the worker.
        asked: the protocol of its requests.
        rules: of the server; some servers speak proto only.
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
