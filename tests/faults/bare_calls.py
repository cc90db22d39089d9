"""Actions and bare calls that the tests of faults and counters share."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpw_fixture import Action
from rpw_fixture.errors import Code
from rpw_fixture.testing.endpoint import Endpoint
from rpw_fixture.wire.digests import SHA256, Digest, message_of
from rpw_fixture.wire.protos import bytestream, longrunning, methods
from rpw_fixture.wire.protos import remote_execution as reapi

SAMPLES = Path(__file__).parents[2] / "sample_workers/python"
PATIENCE = 30.0
_REAPI = "build.bazel.remote.execution.v2"
_SERVICES = (
    *(f"{_REAPI}.{name}" for name in ("Capabilities", "ActionCache", "Execution")),
    f"{_REAPI}.ContentAddressableStorage",
    "google.bytestream.ByteStream",
    "google.longrunning.Operations",
)
#: Every RPC by its simple name.
RPCS = {name: method for service in _SERVICES for name, method in methods(service).items()}


class Bare:
    """One call is one call: nothing here tries again."""

    def __init__(self, channel: grpc.Channel) -> None:
        self._channel = channel

    def call(self, name: str, request: Any, metadata: Iterable[tuple[str, Any]] = ()) -> Any:
        """The response, or a list of them; requests that are streamed come as a list."""
        method = RPCS[name]
        kinds = {
            (False, False): self._channel.unary_unary,
            (False, True): self._channel.unary_stream,
            (True, False): self._channel.stream_unary,
        }
        stub = kinds[method.client_streaming, method.server_streaming](
            method.path,
            lambda message: message.SerializeToString(),
            method.response_class.FromString,
        )
        given = iter(request) if method.client_streaming else request
        response = stub(given, metadata=tuple(metadata), timeout=PATIENCE)
        return list(response) if method.server_streaming else response

    def upload(self, data: bytes) -> Digest:
        digest = SHA256.of(data)
        self.call(
            "BatchUpdateBlobs",
            reapi.BatchUpdateBlobsRequest(requests=[{"digest": message_of(digest), "data": data}]),
        )
        return digest

    def write(self, data: bytes, piece: int = 1 << 20) -> bytestream.WriteResponse:
        return self.call("Write", list(writes(data, piece)))

    def read(self, digest: Digest) -> bytes:
        request = bytestream.ReadRequest(resource_name=f"blobs/{digest}")
        return b"".join(response.data for response in self.call("Read", request))

    def missing(self, *digests: Digest) -> list[str]:
        request = reapi.FindMissingBlobsRequest(blob_digests=map(message_of, digests))
        found = self.call("FindMissingBlobs", request).missing_blob_digests
        return [each.hash for each in found]

    def execute(self, digest: str, **fields: Any) -> list[longrunning.Operation]:
        hash_, size = digest.split("/")
        request = reapi.ExecuteRequest(
            action_digest=reapi.Digest(hash=hash_, size_bytes=int(size)), **fields
        )
        return self.call("Execute", request)


@contextmanager
def bare(server: Endpoint) -> Iterator[Bare]:
    """Bare calls to a server."""
    with grpc.insecure_channel(server.address) as channel:
        yield Bare(channel)


@contextmanager
def failing(code: Code, words: str = "") -> Iterator[Any]:
    """Expects a call to fail with a status."""
    with pytest.raises(grpc.RpcError) as caught:
        yield caught
    assert caught.value.code().name == code.name, caught.value.details()
    assert words in caught.value.details()


def writes(data: bytes, piece: int) -> Iterator[bytestream.WriteRequest]:
    name = f"uploads/5f0c2a1e-1111-4222-8333-444455556666/blobs/{SHA256.of(data)}"
    for start in range(0, len(data), piece):
        chunk = data[start : start + piece]
        yield bytestream.WriteRequest(
            resource_name=name,
            write_offset=start,
            data=chunk,
            finish_write=start + len(chunk) == len(data),
        )


def shell(script: str = "echo hi > out", **others: Any) -> Action:
    return Action(
        arguments=["/bin/sh", "-c", script],
        environment={"PATH": "/bin:/usr/bin"},
        **{"outputs": ["out"], **others},
    )


def compiled(name: str, **others: Any) -> Action:
    """An action for the sample worker."""
    return Action(
        arguments=[sys.executable, "tools/good.py"],
        flagfile=["--in", f"src/{name}", "--out", f"out/{name}"],
        inputs={f"src/{name}": f"text of {name}\n"},
        tool_inputs={f"tools/{each}": SAMPLES / each for each in ("good.py", "rpw_worker.py")},
        outputs=[f"out/{name}"],
        worker_key="good",
        **others,
    )
