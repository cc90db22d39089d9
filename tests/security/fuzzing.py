"""Where the fuzz tests throw bytes: valid requests to change, and a server that must stay calm."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from rpw_fixture import Server
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import Method, bytestream, health, longrunning, methods
from rpw_fixture.wire.protos import remote_execution as reapi

_REAPI = "build.bazel.remote.execution.v2"
#: How long one call may take before it counts as hung, seconds.
_PATIENCE = 60.0
#: Statuses that no bytes of a client may cause.
_BUGS = {"UNKNOWN", "INTERNAL", "UNAVAILABLE", "DEADLINE_EXCEEDED", "DATA_LOSS"}
_UPLOAD = "uploads/5f0c2a1e-1111-4222-8333-444455556666"
LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"

METHODS: Mapping[str, Method] = {
    name: method
    for service in (
        f"{_REAPI}.Capabilities",
        f"{_REAPI}.ActionCache",
        f"{_REAPI}.ContentAddressableStorage",
        f"{_REAPI}.Execution",
        "google.bytestream.ByteStream",
        "google.longrunning.Operations",
        "grpc.health.v1.Health",
    )
    for name, method in methods(service).items()
}


def effort(short: int, long: int) -> settings:
    """How many inputs to try."""
    return settings(
        max_examples=long if LONG else short,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def changed(*seeds: bytes) -> st.SearchStrategy[bytes]:
    """Some bytes, a seed, or a seed with a few edits."""
    edit = st.tuples(
        st.sampled_from(("replace", "insert", "delete", "repeat", "cut")),
        st.integers(0, 1 << 16),
        st.binary(max_size=12) | st.sampled_from(_NASTY),
    )
    edited = st.builds(_edited, st.sampled_from(seeds), st.lists(edit, max_size=4))
    return edited | st.binary(max_size=200)


_NASTY = (
    b"\xff" * 10,
    b"\x80" * 10 + b"\x01",
    b"\xff\xff\xff\xff\x07",
    b"../" * 4,
    b"/etc/passwd\0",
    b"\xed\xa0\x80",
    b"\x0b\x0b\x0b\x0b",
    b"-9223372036854775808",
    b"blobs/uploads/",
)


def _edited(seed: bytes, edits: list[tuple[str, int, bytes]]) -> bytes:
    data = bytearray(seed)
    for kind, where, content in edits:
        position = where % (len(data) + 1)
        end = position + len(content)
        if kind == "replace":
            data[position:end] = content
        elif kind == "insert":
            data[position:position] = content
        elif kind == "delete":
            del data[position:end]
        elif kind == "repeat":
            data[position:position] = data[position : position + 64]
        else:
            del data[position:]
    return bytes(data)


class Target:
    """A server to throw bytes at."""

    def __init__(self, server: Server, channel: grpc.Channel) -> None:
        self._server = server
        self._stubs = {name: _stub(channel, method) for name, method in METHODS.items()}

    def throw(self, name: str, *raw: bytes, metadata: tuple[Any, ...] = ()) -> list[bytes]:
        """Calls an RPC with raw requests; what it answers, or nothing.

        Raises:
            AssertionError: when the answer shows a bug.
        """
        method = METHODS[name]
        request = iter(raw) if method.client_streaming else raw[0]
        try:
            answer = self._stubs[name](request, timeout=_PATIENCE, metadata=metadata)
            if name == "Watch":  # never ends by itself
                first = next(answer)
                answer.cancel()
                return [first]
            return list(answer) if method.server_streaming else [answer]
        except grpc.RpcError as error:
            if error.code().name in _BUGS:
                told = f"{name}: {error.code().name}: {error.details()}"
                raise AssertionError(told) from None
            return []

    def put(self, data: bytes) -> reapi.Digest:
        """Uploads what no client should, under its right name."""
        digest = message_of(SHA256.of(data))
        entry = {"digest": digest, "data": data}
        request = reapi.BatchUpdateBlobsRequest(requests=[entry])
        (answer,) = self.throw("BatchUpdateBlobs", request.SerializeToString())
        (response,) = reapi.BatchUpdateBlobsResponse.FromString(answer).responses
        assert response.status.code == 0
        return digest

    def execute(self, action: reapi.Digest) -> reapi.ExecuteResponse | None:
        """Executes an action that may be anything."""
        request = reapi.ExecuteRequest(action_digest=action)
        answers = self.throw("Execute", request.SerializeToString())
        if not answers:
            return None
        response = reapi.ExecuteResponse()
        assert longrunning.Operation.FromString(answers[-1]).response.Unpack(response)
        status = grpc_name(response.status.code)
        # A deadline inside a response is the action's own.
        assert status not in _BUGS - {"DEADLINE_EXCEEDED"}, response.status.message
        return response

    def is_calm(self) -> None:
        """Nothing is still being served."""
        assert self._server.counters.methods["GetCapabilities"].open == 0
        self._server.assert_no_internal_error()


def seeds_of(target: Target) -> dict[str, list[bytes]]:
    """Valid requests of every RPC, and what they refer to is there."""
    blob = target.put(b"some content " * 100)
    command = reapi.Command(arguments=["/bin/true"], output_paths=["out"])
    root = reapi.Directory(files=[{"name": "in", "digest": blob}])
    root.directories.add(name="folder", digest=target.put(reapi.Directory().SerializeToString()))
    root_digest = target.put(root.SerializeToString())
    action = reapi.Action(
        command_digest=target.put(command.SerializeToString()), input_root_digest=root_digest
    )
    action_digest = target.put(action.SerializeToString())
    result = reapi.ActionResult(output_files=[{"path": "out", "digest": blob}], exit_code=0)
    name = f"{blob.hash}/{blob.size_bytes}"
    data = b"another content"
    write = f"{_UPLOAD}/blobs/{SHA256.of(data)}"
    packed = f"{_UPLOAD}/compressed-blobs/deflate/{SHA256.of(data)}"
    requests: dict[str, list[Any]] = {
        "GetCapabilities": [reapi.GetCapabilitiesRequest(instance_name="a/b")],
        "GetActionResult": [
            reapi.GetActionResultRequest(
                action_digest=action_digest, inline_stdout=True, inline_output_files=["out"]
            )
        ],
        "UpdateActionResult": [
            reapi.UpdateActionResultRequest(action_digest=action_digest, action_result=result)
        ],
        "FindMissingBlobs": [reapi.FindMissingBlobsRequest(blob_digests=[blob, action_digest])],
        "BatchUpdateBlobs": [
            reapi.BatchUpdateBlobsRequest(
                requests=[
                    {"digest": message_of(SHA256.of(data)), "data": data},
                    {
                        "digest": message_of(SHA256.of(data)),
                        "data": deflated(data),
                        "compressor": reapi.Compressor.DEFLATE,
                    },
                ]
            )
        ],
        "BatchReadBlobs": [
            reapi.BatchReadBlobsRequest(
                digests=[blob, root_digest], acceptable_compressors=[reapi.Compressor.ZSTD]
            )
        ],
        "GetTree": [reapi.GetTreeRequest(root_digest=root_digest, page_size=1, page_token="1")],
        "SplitBlob": [reapi.SplitBlobRequest(blob_digest=blob)],
        "SpliceBlob": [reapi.SpliceBlobRequest(blob_digest=blob, chunk_digests=[blob])],
        "Execute": [reapi.ExecuteRequest(action_digest=action_digest, skip_cache_lookup=True)],
        "WaitExecution": [reapi.WaitExecutionRequest(name="some/1")],
        "Read": [
            bytestream.ReadRequest(resource_name=f"a/blobs/{name}", read_offset=3, read_limit=5),
            bytestream.ReadRequest(resource_name=f"compressed-blobs/zstd/{name}"),
        ],
        "Write": [
            bytestream.WriteRequest(resource_name=write, data=data, finish_write=True),
            bytestream.WriteRequest(resource_name=packed, data=deflated(data), finish_write=True),
            bytestream.WriteRequest(resource_name=write, data=data[:5]),
            bytestream.WriteRequest(write_offset=5, data=data[5:], finish_write=True),
        ],
        "QueryWriteStatus": [bytestream.QueryWriteStatusRequest(resource_name=write)],
        "GetOperation": [longrunning.GetOperationRequest(name="some/1")],
        "CancelOperation": [longrunning.CancelOperationRequest(name="some/1")],
        "Check": [health.HealthCheckRequest(service="google.bytestream.ByteStream")],
        "Watch": [health.HealthCheckRequest(service="google.bytestream.ByteStream")],
    }
    found = {name: [each.SerializeToString() for each in some] for name, some in requests.items()}
    return {name: found.get(name, [b""]) for name in METHODS}


def deflated(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


def grpc_name(number: int) -> str:
    return next(code.name for code in grpc.StatusCode if code.value[0] == number)


def _stub(channel: grpc.Channel, method: Method) -> Any:
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
    }
    return kinds[method.client_streaming, method.server_streaming](method.path, None, None)


def channels(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(
        server.address, [("grpc.max_receive_message_length", -1)]
    ) as channel:
        yield channel
