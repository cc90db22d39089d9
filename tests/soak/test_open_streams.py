"""Many clients wait for their actions, and the server still answers everybody else."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from rpw_fixture import Action, Server
from rpw_fixture.wire.digests import SHA256, message_of
from rpw_fixture.wire.protos import bytestream, longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

STREAMS = 200
CALLS = 200
_REAPI = "/build.bazel.remote.execution.v2"


@pytest.mark.rpw(jobs=2)
def test_unary_calls_are_answered_while_200_executions_are_waited_for(
    rpw_server: Server, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    client = rpw_server.client
    actions = [
        Action(
            arguments=["/bin/sh", "-c", f"until [ -e {gate} ]; do sleep 0.02; done"],
            environment={"PATH": "/bin:/usr/bin"},
            salt=str(number).encode(),
        )
        for number in range(STREAMS)
    ]
    digests = []
    for action in actions:
        encoded = client._encode(action)
        client.upload(encoded.blobs)
        digests.append(encoded.digest)
    with grpc.insecure_channel(rpw_server.address) as channel:
        execute = channel.unary_stream(
            f"{_REAPI}.Execution/Execute",
            lambda request: request.SerializeToString(),
            longrunning.Operation.FromString,
        )
        streams = [
            execute(reapi.ExecuteRequest(action_digest=message_of(digest)), timeout=300)
            for digest in digests
        ]
        names = {next(stream).name for stream in streams}
        assert len(names) == STREAMS
        assert rpw_server.counters.methods["Execute"].open == STREAMS

        _call_everything(channel, client.digest_of(actions[0]))
        assert rpw_server.counters.methods["Execute"].open == STREAMS

        gate.touch()
        for stream in streams:
            *_, last = stream
            assert last.done
    assert rpw_server.counters.highest_concurrency > STREAMS


def _call_everything(channel: grpc.Channel, action: str) -> None:
    """Unary calls and short streams, each with a separate deadline."""
    find = channel.unary_unary(
        f"{_REAPI}.ContentAddressableStorage/FindMissingBlobs",
        lambda request: request.SerializeToString(),
        reapi.FindMissingBlobsResponse.FromString,
    )
    read = channel.unary_stream(
        "/google.bytestream.ByteStream/Read",
        lambda request: request.SerializeToString(),
        bytestream.ReadResponse.FromString,
    )
    absent = message_of(SHA256.of(b"absent"))
    for _ in range(CALLS):
        answer = find(reapi.FindMissingBlobsRequest(blob_digests=[absent]), timeout=20)
        assert len(answer.missing_blob_digests) == 1
        name = f"blobs/{action}"
        data = b"".join(
            response.data
            for response in read(bytestream.ReadRequest(resource_name=name), timeout=20)
        )
        assert str(SHA256.of(data)) == action
