"""Actions whose clients have gone, over the wire."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest

from rpw_fixture import Server
from rpw_fixture.client.action import Action
from rpw_fixture.client.encoding import encode
from rpw_fixture.events.kinds import ActionCompleted, ActionRouted
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi
from tests.waiting import PATIENCE, until

_EXECUTION = "/build.bazel.remote.execution.v2.Execution"


class Caller:
    """A client that can go away in the middle of a call."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._channel = grpc.insecure_channel(server.endpoint.removeprefix("grpc://"))

    def execute(self, *arguments: str) -> tuple[str, grpc.Future]:
        """Begins an action; the name of its operation, and the call."""
        action = Action(arguments=arguments, do_not_cache=True)
        encoded = encode(action, self._server.client.digest_function)
        self._server.client.upload(encoded.blobs)
        digest = reapi.Digest(hash=encoded.digest.hash, size_bytes=encoded.digest.size)
        return self._stream("Execute", reapi.ExecuteRequest(action_digest=digest))

    def wait(self, name: str) -> tuple[str, grpc.Future]:
        """Waits for an operation by its name."""
        return self._stream("WaitExecution", reapi.WaitExecutionRequest(name=name))

    def get(self, name: str) -> longrunning.Operation:
        call = self._channel.unary_unary(
            "/google.longrunning.Operations/GetOperation",
            request_serializer=longrunning.GetOperationRequest.SerializeToString,
            response_deserializer=longrunning.Operation.FromString,
        )
        return call(longrunning.GetOperationRequest(name=name), timeout=PATIENCE)

    def _stream(self, method: str, request: object) -> tuple[str, grpc.Future]:
        call = self._channel.unary_stream(
            f"{_EXECUTION}/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=longrunning.Operation.FromString,
        )(request, timeout=10 * PATIENCE)
        return next(call).name, call

    def close(self) -> None:
        self._channel.close()


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    return tmp_path / "gate"


def held(gate: Path) -> tuple[str, ...]:
    """The arguments of a command that ends when the gate is there."""
    script = f"touch {gate}.reached; while ! [ -e {gate} ]; do sleep 0.01; done"
    return ("/bin/sh", "-c", script)


def completed(server: Server) -> dict[str, ActionCompleted]:
    return {each.operation: each for each in server.events.of(ActionCompleted)}


def test_a_new_client_does_not_wait_for_work_that_others_abandoned(
    make_rpw_server: MakeServer, gate: Path
) -> None:
    server = make_rpw_server(jobs=1)
    caller = Caller(server)
    calls = [caller.execute(*held(gate)), *(caller.execute("/bin/true") for _ in range(40))]
    for _, call in calls:
        call.cancel()
    until(lambda: server.idle_seconds > 0, "the server has not noticed that the client is gone")
    new: list[str] = []

    def open_gate(operation: str) -> None:
        new.append(operation)
        gate.touch()

    action = Action(arguments=["/bin/echo", "new"])
    assert server.client.run(action, on_operation=open_gate).ok
    assert server.events.wait_for(lambda _: len(completed(server)) == 42, PATIENCE)

    order = [each.operation for each in server.events.of(ActionCompleted)]
    assert order[:2] == [calls[0][0], *new]
    caller.close()


def test_abandoned_work_is_dropped_and_cancelled_and_leaves_no_process(
    make_rpw_server: MakeServer, gate: Path
) -> None:
    server = make_rpw_server(jobs=1, abandoned_timeout=0.2)
    caller = Caller(server)
    calls = [caller.execute(*held(gate)) for _ in range(20)]
    until(Path(f"{gate}.reached").exists)
    for _, call in calls:
        call.cancel()
    assert server.events.wait_for(lambda _: len(completed(server)) == 20, PATIENCE)

    assert {each.status for each in completed(server).values()} == {"CANCELLED"}
    # Its client left a little later than that of the one before: another one may have begun.
    assert len(server.events.of(ActionRouted)) < 10
    after = server.run(Action(arguments=["/bin/echo", "after"]))
    assert after.ok
    operation = caller.get(calls[0][0])
    response = reapi.ExecuteResponse()
    assert operation.response.Unpack(response)
    assert "no client waited for it for 0.2 s" in response.status.message
    caller.close()


def test_who_waits_by_name_keeps_an_operation_alive(
    make_rpw_server: MakeServer, gate: Path
) -> None:
    server = make_rpw_server(jobs=2, abandoned_timeout=0.2)
    caller = Caller(server)
    kept = caller.execute(*held(gate))
    _, waiting = caller.wait(kept[0])
    kept[1].cancel()
    for _ in range(3):
        other, call = caller.execute(*held(gate))
        call.cancel()
        until(lambda name=other: name in completed(server))
    assert not caller.get(kept[0]).done
    gate.touch()

    assert list(waiting)[-1].done
    assert completed(server)[kept[0]].status == "OK"
    caller.close()
