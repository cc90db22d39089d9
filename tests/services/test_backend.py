"""What a server loads for its first call, and what it does without."""

from __future__ import annotations

import subprocess
import sys

import grpc
import pytest

from rpw_fixture.client import Client
from rpw_fixture.events.kinds import InternalError
from rpw_fixture.server import Server
from rpw_fixture.services.backend import Backend

LISTEN = """
import sys
from rpw_fixture.server import Server
with Server() as server:
    assert server.endpoint
    server.counters.reset()
    server.reset()
    print(*sorted(name for name in sys.modules if name.startswith("google.protobuf")))
"""


def test_a_server_listens_without_protobuf() -> None:
    done = subprocess.run(
        [sys.executable, "-c", LISTEN], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


PREPARE = """
import sys
from google.protobuf.internal import api_implementation
from rpw_fixture.server import Server
with Server() as server:
    server.prepare()
    if api_implementation.Type() == "upb":
        print(*sorted(name for name in sys.modules if name.endswith((".python_message", "_pb2"))))
"""


def test_a_server_loads_nothing_of_the_python_form_of_protobuf() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PREPARE], capture_output=True, text=True, check=False
    )
    assert (done.stdout.strip(), done.returncode) == ("", 0), done.stderr


def test_a_server_that_was_never_called_stops_at_once() -> None:
    with Server() as server:
        server.stop()


def test_calls_are_served_whether_it_was_prepared_or_not() -> None:
    for is_prepared in (False, True):
        with Server() as server:
            if is_prepared:
                server.prepare()
            with Client(server.endpoint) as client:
                assert client.capabilities().execution_capabilities.exec_enabled


def test_an_rpc_that_no_service_has_is_unimplemented() -> None:
    with (
        Server() as server,
        grpc.insecure_channel(server.endpoint.removeprefix("grpc://")) as channel,
        pytest.raises(grpc.RpcError) as caught,
    ):
        channel.unary_unary("/no.such.Service/Method")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_bug_in_what_the_first_call_loads_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr(Backend, "__init__", broken)
    with (
        Server() as server,
        grpc.insecure_channel(server.endpoint.removeprefix("grpc://")) as channel,
    ):
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary("/no.such.Service/Method")(b"")
        assert caught.value.code() is grpc.StatusCode.INTERNAL
        assert "a bug" in str(caught.value.details())
        recorded = server.events.of(InternalError)
    assert [each.where for each in recorded] == ["/no.such.Service/Method"]
    assert "ZeroDivisionError: a bug" in recorded[0].detail
