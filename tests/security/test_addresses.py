"""This server runs any command it is sent, so strangers must not reach it by accident."""

from __future__ import annotations

import subprocess
import sys

import pytest

from rpw_fixture import ConfigError, Server

from .conftest import Pems

REMOTE = [
    "0.0.0.0:0",
    "[::]:0",
    "192.0.2.7:0",
    "[2001:db8::1]:0",
    "example.org:0",
    "127.0.0.1.example.org:0",
    "localhost.example.org:0",
    "0:0",
    "[::ffff:192.0.2.7]:0",
]


@pytest.mark.parametrize("address", REMOTE)
def test_an_address_others_can_reach_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match="not a loopback address"):
        Server(listen=address)


@pytest.mark.parametrize("address", REMOTE)
def test_allowing_it_takes_a_client_that_proves_who_it_is(address: str) -> None:
    with pytest.raises(ConfigError, match="--allow-remote needs"):
        Server(listen=address, allow_remote=True)


@pytest.mark.parametrize("address", REMOTE)
def test_a_certificate_of_the_server_alone_keeps_no_client_out(address: str, pems: Pems) -> None:
    with pytest.raises(ConfigError, match="a server certificate alone lets every client in"):
        Server(
            listen=address, allow_remote=True, tls_cert=pems.server_cert, tls_key=pems.server_key
        )


def test_with_both_it_is_allowed(token_file: str, pems: Pems) -> None:
    Server(listen="0.0.0.0:0", allow_remote=True, auth_token_file=token_file)
    Server(
        listen="0.0.0.0:0",
        allow_remote=True,
        tls_cert=pems.server_cert,
        tls_key=pems.server_key,
        tls_client_ca=pems.ca,
    )


@pytest.mark.parametrize("address", ["127.0.0.1:0", "127.1.2.3:0", "[::1]:0", "localhost:0"])
def test_a_loopback_address_needs_nothing(address: str) -> None:
    Server(listen=address)


@pytest.mark.parametrize("address", ["", "8980", "127.0.0.1", "127.0.0.1:http", "127.0.0.1:99999"])
def test_what_is_no_address_is_said_to_be_none(address: str) -> None:
    with pytest.raises(ConfigError, match="neither HOST:PORT nor unix:PATH"):
        Server(listen=address)


def test_the_command_line_refuses_with_its_own_exit_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rpw_fixture", "serve", "--listen", "0.0.0.0:0"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "--allow-remote" in done.stderr
    assert done.stdout == ""
