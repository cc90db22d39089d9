"""TLS and mutual TLS, over the wire, with gRPC's own client and with ours."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest

from rpw_fixture import Action, Client, ConfigError, EnvironmentLacksError, Server

from .conftest import Pems

Make = Callable[..., Server]
CHECK = "/grpc.health.v1.Health/Check"
SERVING = b"\x08\x01"
HELLO = Action(arguments=["/bin/sh", "-c", "echo hello"])


def check(server: Server, **files: str) -> bytes:
    """A health check with gRPC's own client."""
    content = {name: Path(path).read_bytes() for name, path in files.items()}
    credentials = grpc.ssl_channel_credentials(**content)
    with grpc.secure_channel(server.address, credentials) as channel:
        response: bytes = channel.unary_unary(CHECK, None, None)(b"", timeout=10)
    return response


def refused(server: Server, **files: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        check(server, **files)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


@pytest.fixture
def tls(make_rpw_server: Make, pems: Pems) -> Server:
    return make_rpw_server(tls_cert=pems.server_cert, tls_key=pems.server_key)


@pytest.fixture
def mutual(make_rpw_server: Make, pems: Pems) -> Server:
    return make_rpw_server(
        tls_cert=pems.server_cert, tls_key=pems.server_key, tls_client_ca=pems.ca
    )


def test_a_client_that_trusts_the_authority_is_served(tls: Server, pems: Pems) -> None:
    assert tls.endpoint.startswith("grpcs://127.0.0.1:")
    assert check(tls, root_certificates=pems.ca) == SERVING


def test_a_client_that_trusts_others_does_not_talk(tls: Server, strangers: Pems) -> None:
    refused(tls, root_certificates=strangers.ca)


def test_a_client_without_tls_gets_nowhere(tls: Server) -> None:
    with grpc.insecure_channel(tls.address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            channel.unary_unary(CHECK, None, None)(b"", timeout=10)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def test_the_fixture_s_own_client_trusts_its_server(tls: Server) -> None:
    assert tls.run(HELLO).stdout == b"hello\n"


def test_our_client_takes_the_authority_by_hand(tls: Server, pems: Pems) -> None:
    with Client(tls.endpoint, tls_ca=pems.ca) as client:
        assert client.run(HELLO).stdout == b"hello\n"


def test_a_client_certificate_is_demanded_where_one_is_wanted(
    mutual: Server, pems: Pems, strangers: Pems
) -> None:
    known: dict[str, Any] = {"certificate_chain": pems.client_cert, "private_key": pems.client_key}
    foreign = {
        "certificate_chain": strangers.client_cert,
        "private_key": strangers.client_key,
    }
    assert check(mutual, root_certificates=pems.ca, **known) == SERVING
    refused(mutual, root_certificates=pems.ca)
    refused(mutual, root_certificates=pems.ca, **foreign)


def test_our_client_shows_its_certificate(mutual: Server, pems: Pems) -> None:
    with mutual.connect(tls_cert=pems.client_cert, tls_key=pems.client_key) as client:
        assert client.run(HELLO).stdout == b"hello\n"
    with mutual.connect() as client, pytest.raises(EnvironmentLacksError):
        client.run(HELLO)


def test_bazel_knows_what_to_trust(tls: Server, pems: Pems) -> None:
    flags = tls.bazel_flags()
    assert f"--remote_executor={tls.endpoint}" in flags
    assert f"--tls_certificate={pems.server_cert}" in flags


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"tls_cert": "a.pem"}, "--tls-cert and --tls-key go together"),
        ({"tls_key": "a.key"}, "--tls-cert and --tls-key go together"),
        ({"tls_client_ca": "ca.pem"}, "--tls-client-ca needs --tls-cert"),
        ({"tls_cert": "/absent.pem", "tls_key": "/absent.key"}, "--tls-key /absent.key: No such"),
    ],
)
def test_settings_that_make_no_tls_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Server(**settings)
    assert words in str(caught.value)


def test_a_file_that_is_no_certificate_is_named(tmp_path: Path, pems: Pems) -> None:
    rubbish = tmp_path / "rubbish.pem"
    rubbish.write_text("rubbish")
    for cert, key, authority in (
        (str(rubbish), pems.server_key, None),
        (pems.server_cert, str(rubbish), None),
        (pems.server_cert, pems.server_key, str(rubbish)),
    ):
        with pytest.raises(ConfigError) as caught:
            Server(tls_cert=cert, tls_key=key, tls_client_ca=authority)
        assert str(rubbish) in str(caught.value)


def test_a_key_of_another_certificate_is_refused(pems: Pems) -> None:
    with pytest.raises(ConfigError, match="no certificate chain and its private key"):
        Server(tls_cert=pems.server_cert, tls_key=pems.client_key)
