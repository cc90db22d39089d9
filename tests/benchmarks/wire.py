"""A client from bytes to bytes, the same for every server: what it costs is in each figure and floor.

Requests are encoded before the clock starts, and answers decoded, if at all, after it has stopped.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import grpc

_REAPI = "/build.bazel.remote.execution.v2"
CAPABILITIES = f"{_REAPI}.Capabilities/GetCapabilities"
EXECUTE = f"{_REAPI}.Execution/Execute"
FIND_MISSING = f"{_REAPI}.ContentAddressableStorage/FindMissingBlobs"
BATCH_UPDATE = f"{_REAPI}.ContentAddressableStorage/BatchUpdateBlobs"
BATCH_READ = f"{_REAPI}.ContentAddressableStorage/BatchReadBlobs"
ACTION_RESULT = f"{_REAPI}.ActionCache/GetActionResult"
CANCEL = "/google.longrunning.Operations/CancelOperation"
READ = "/google.bytestream.ByteStream/Read"
WRITE = "/google.bytestream.ByteStream/Write"
_OPTIONS = (
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    ("grpc.use_local_subchannel_pool", 1),
)


class Wire:
    """Calls on one channel.

    Args:
        channel: to the server; the caller closes it.
    """

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel
        self._calls: dict[str, Any] = {}

    def unary(self, path: str, request: bytes) -> bytes:
        """A request and its answer."""
        call = self._calls.get(path) or self._calls.setdefault(
            path, self._channel.unary_unary(path)
        )
        return bytes(call(request))

    def open(self, path: str, request: bytes) -> Any:
        """An answer of many messages, as they come."""
        call = self._calls.get(path) or self._calls.setdefault(
            path, self._channel.unary_stream(path)
        )
        return call(request)

    def stream(self, path: str, request: bytes) -> list[bytes]:
        """All messages of an answer."""
        return list(self.open(path, request))

    def collect(self, path: str, requests: Iterable[bytes]) -> bytes:
        """Many messages and their one answer."""
        call = self._calls.get(path) or self._calls.setdefault(
            path, self._channel.stream_unary(path)
        )
        return bytes(call(iter(requests)))

    def configure(self, sizes: Sequence[int]) -> None:
        """Set how long the messages of the bare server's responses are."""
        self.unary("/bare/Configure", json.dumps({"sizes": list(sizes)}).encode())


@contextlib.contextmanager
def connected(target: str) -> Iterator[Wire]:
    """A client of the server at ``HOST:PORT``."""
    with grpc.insecure_channel(target, options=_OPTIONS) as channel:
        yield Wire(channel)
