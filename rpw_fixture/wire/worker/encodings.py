"""Both encodings of the worker protocol, by the names that actions use."""

from __future__ import annotations

from rpw_fixture.wire.worker.json_encoding import JsonEncoding
from rpw_fixture.wire.worker.messages import Encoding
from rpw_fixture.wire.worker.proto_encoding import ProtoEncoding
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol


def encoding(
    protocol: WorkerProtocol,
    json_always: frozenset[str] = frozenset(),
    *,
    json_by_line: bool = False,
) -> Encoding:
    """Return the encoding of a worker protocol.

    Args:
        protocol: the protocol.
        json_always: see `JsonEncoding`.
        json_by_line: see `JsonEncoding`.
    """
    if protocol == WorkerProtocol.JSON:
        return JsonEncoding(json_always, by_line=json_by_line)
    return ProtoEncoding()
