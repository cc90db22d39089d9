"""Certificates, made anew for each session."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
import trustme

TOKEN = "correct horse battery staple"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pems:
    """Files of one certificate authority: its own certificate, a server's and a client's."""

    ca: str
    server_cert: str
    server_key: str
    client_cert: str
    client_key: str


@pytest.fixture(scope="session")
def pems(tmp_path_factory: pytest.TempPathFactory) -> Pems:
    """Of the authority that everybody trusts."""
    return write_pems(tmp_path_factory.mktemp("trusted"))


@pytest.fixture(scope="session")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Pems:
    """Certificates of an authority that the server does not trust."""
    return write_pems(tmp_path_factory.mktemp("strangers"))


@pytest.fixture
def token_file(tmp_path: Path) -> str:
    path = tmp_path / "token"
    path.write_text(f"{TOKEN}\n")
    return str(path)


def write_pems(folder: Path) -> Pems:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(folder / "ca.pem")
    for name, host in (("server", "127.0.0.1"), ("client", "client@example.org")):
        issued = (
            authority.issue_cert(host, "localhost")
            if name == "server"
            else (authority.issue_cert(host))
        )
        for position, blob in enumerate(issued.cert_chain_pems):
            blob.write_to_path(folder / f"{name}.pem", append=position > 0)
        issued.private_key_pem.write_to_path(folder / f"{name}.key")
    names = ("ca.pem", "server.pem", "server.key", "client.pem", "client.key")
    ca, server_cert, server_key, client_cert, client_key = (str(folder / each) for each in names)
    return Pems(
        ca=ca,
        server_cert=server_cert,
        server_key=server_key,
        client_cert=client_cert,
        client_key=client_key,
    )
