"""The bearer token: every call carries it, health checks excepted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpw_fixture import Action, Client, ConfigError, Server
from rpw_fixture.cli import main
from rpw_fixture.errors import RequestError
from rpw_fixture.wire.protos import methods

from .conftest import TOKEN, Pems

Make = Callable[..., Server]
REAPI = "build.bazel.remote.execution.v2"
SERVICES = (
    *(f"{REAPI}.{name}" for name in ("Capabilities", "ActionCache", "Execution")),
    f"{REAPI}.ContentAddressableStorage",
    "google.bytestream.ByteStream",
    "google.longrunning.Operations",
)
GOOD = ("authorization", f"Bearer {TOKEN}")


@pytest.fixture
def server(make_rpw_server: Make, token_file: str) -> Server:
    return make_rpw_server(auth_token_file=token_file)


@pytest.fixture
def channel(server: Server) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.address) as channel:
        yield channel


def status(channel: grpc.Channel, method: Any, *metadata: tuple[str, Any]) -> grpc.StatusCode:
    """With what a call without content ends."""
    kinds = {
        (False, False): channel.unary_unary,
        (False, True): channel.unary_stream,
        (True, False): channel.stream_unary,
    }
    stub = kinds[method.client_streaming, method.server_streaming](method.path, None, None)
    request = iter([b""]) if method.client_streaming else b""
    try:
        response = stub(request, metadata=metadata, timeout=10)
        if method.server_streaming:
            list(response)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("service", SERVICES)
def test_no_rpc_is_served_without_the_token(channel: grpc.Channel, service: str) -> None:
    for method in methods(service).values():
        without, with_it = status(channel, method), status(channel, method, GOOD)
        if with_it is not grpc.StatusCode.UNIMPLEMENTED:
            assert without is grpc.StatusCode.UNAUTHENTICATED, method.path
        assert with_it is not grpc.StatusCode.UNAUTHENTICATED, method.path


@pytest.mark.parametrize(
    "value",
    ["", "Bearer", "Bearer ", "Bearer wrong", TOKEN, f"bearer {TOKEN}", f"Bearer {TOKEN}x"],
)
def test_a_wrong_token_is_none(channel: grpc.Channel, value: str) -> None:
    method = methods(f"{REAPI}.Capabilities")["GetCapabilities"]
    answer = status(channel, method, ("authorization", value))
    assert answer is grpc.StatusCode.UNAUTHENTICATED


def test_a_second_header_does_not_get_in(channel: grpc.Channel) -> None:
    method = methods(f"{REAPI}.Capabilities")["GetCapabilities"]
    wrong = ("authorization", "Bearer wrong")
    assert status(channel, method, GOOD, wrong) is grpc.StatusCode.UNAUTHENTICATED
    binary = ("authorization-bin", f"Bearer {TOKEN}".encode())
    assert status(channel, method, binary) is grpc.StatusCode.UNAUTHENTICATED


def test_health_is_reported_to_every_client(channel: grpc.Channel) -> None:
    check = channel.unary_unary("/grpc.health.v1.Health/Check", None, None)
    assert check(b"", timeout=10) == b"\x08\x01"


def test_the_fixture_s_own_client_and_bazel_carry_the_token(server: Server) -> None:
    assert server.run(Action(arguments=["/bin/sh", "-c", "echo hello"])).stdout == b"hello\n"
    assert f"--remote_header=authorization=Bearer {TOKEN}" in server.bazel_flags()
    with Client(server.endpoint) as client, pytest.raises(RequestError) as caught:
        client.capabilities()
    assert caught.value.code.name == "UNAUTHENTICATED"


def test_a_refused_call_says_what_to_send_and_nothing_of_the_token(channel: grpc.Channel) -> None:
    path = f"/{REAPI}.Capabilities/GetCapabilities"
    with pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary(path, None, None)(b"", timeout=10)
    assert "authorization: Bearer" in caught.value.details()
    assert TOKEN not in caught.value.details()


def test_a_token_goes_with_tls(make_rpw_server: Make, token_file: str, pems: Pems) -> None:
    server = make_rpw_server(
        auth_token_file=token_file, tls_cert=pems.server_cert, tls_key=pems.server_key
    )
    assert server.run(Action(arguments=["/bin/sh", "-c", "echo hello"])).stdout == b"hello\n"


def test_a_token_file_that_is_empty_or_absent_is_refused(tmp_path: Any) -> None:
    empty = tmp_path / "empty"
    empty.write_text("\n")
    for path, words in ((empty, "the file is empty"), (tmp_path / "absent", "No such file")):
        with pytest.raises(ConfigError, match=words):
            Server(auth_token_file=str(path))


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\xff\xfe\x00\x01", "one line of printable ASCII"),
        (bytes(range(256)), "one line of printable ASCII"),
        ("schlüssel".encode(), "one line of printable ASCII"),
        (b"one\ntwo\n", "one line of printable ASCII"),
        (b"a\0b", "one line of printable ASCII"),
    ],
)
def test_a_token_file_that_no_header_can_carry_is_wrong_use(
    tmp_path: Path, content: bytes, problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "token"
    path.write_bytes(content)

    assert main(["--listen", "127.0.0.1:0", "--auth-token-file", str(path)]) == 2
    said = capsys.readouterr().err
    assert f"--auth-token-file {path}: " in said
    assert problem in said
    assert "Traceback" not in said
