"""Both encodings of the worker protocol, by the names that actions call them."""

from __future__ import annotations

from rpw_fixture.wire.worker_json import JsonEncoding
from rpw_fixture.wire.worker_messages import Encoding
from rpw_fixture.wire.worker_proto import ProtoEncoding


def encoding(protocol: str, json_always: frozenset[str] = frozenset()) -> Encoding:
    """The encoding named by ``persistentWorkerProtocol``, ``proto`` or ``json``.

    Args:
        protocol: its name.
        json_always: see `JsonEncoding`.
    """
    return JsonEncoding(json_always) if protocol == "json" else ProtoEncoding()
