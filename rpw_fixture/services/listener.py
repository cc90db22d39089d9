"""The listening side of the server: address, TLS, token, and settings of gRPC."""

from __future__ import annotations

import errno
import hmac
import ipaddress
import os
import socket
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import grpc

from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.support import pem

#: The longest path of a Unix socket, bytes.
_MAX_SOCKET_PATH = 107
#: Time for a new connection to complete its handshake.
_HANDSHAKE_MILLISECONDS = 5_000
#: Calls that wait for gRPC's thread; by default gRPC begins to cancel them at 1,000.
_MOST_PENDING = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listener:
    """An address to listen on, checked before anything is started.

    Attributes:
        host: name or address; ``unix`` for a Unix socket.
        port: 0 to pick one; unused for a Unix socket.
        path: of the Unix socket; else empty.
        credentials: for TLS; else None.
        token: bearer token that every call but health checks needs; empty for none.
        max_message_bytes: largest gRPC message.
    """

    host: str
    port: int
    path: str
    credentials: grpc.ServerCredentials | None
    token: str
    max_message_bytes: int

    @classmethod
    def of(cls, config: Config) -> Self:
        """Return the listener of a configuration.

        Raises:
            ConfigError: for an invalid address. Also for one that other machines reach, without
                ``--allow-remote`` or without a token or client certificates, because this server
                runs any command that it gets.
        """
        host, port, path = _parse(config.listen)
        credentials = _credentials(config)
        token = _token(config.auth_token_file)
        if not path and not is_loopback(host):
            _require_protection(config, host, is_protected=bool(config.tls_client_ca or token))
        return cls(
            host=host,
            port=port,
            path=path,
            credentials=credentials,
            token=token,
            max_message_bytes=config.max_message_bytes,
        )

    @property
    def options(self) -> Sequence[tuple[str, int]]:
        """Options for the gRPC server.

        A second server on the same port must fail instead of getting half of the calls. Clients that
        ping often, as Bazel with keepalive, must not be disconnected. A silent connection is closed
        soon. A burst of calls waits instead of being cancelled.
        """
        return (
            ("grpc.so_reuseport", 0),
            ("grpc.http2.max_ping_strikes", 0),
            ("grpc.server_handshake_timeout_ms", _HANDSHAKE_MILLISECONDS),
            ("grpc.server.max_pending_requests", _MOST_PENDING),
            ("grpc.server.max_pending_requests_hard_limit", 2 * _MOST_PENDING),
            ("grpc.max_receive_message_length", self.max_message_bytes),
            ("grpc.max_send_message_length", -1),
        )

    def bind(self, server: grpc.Server) -> str:
        """Make ``server`` listen here; return the address as clients write it, without a scheme.

        Raises:
            EnvironmentLacksError: when the address is in use, or not one of this machine.
        """
        target = f"unix:{self.path}" if self.path else f"{self.host}:{self.port}"
        if self.port:
            _try_to_bind(target, self.host, self.port)
        with _private_socket(self.path) if self.path else nullcontext():
            port = self._add_port(server, target)
        if not port:
            raise EnvironmentLacksError(
                f"can't listen on {target}: the address is in use, or not one of this machine; "
                "port 0 picks a free one"
            )
        return target if self.path else f"{self.host}:{port}"

    def _add_port(self, server: grpc.Server, target: str) -> int:
        try:
            if self.credentials is not None:
                return server.add_secure_port(target, self.credentials)
            return server.add_insecure_port(target)
        except RuntimeError:
            return 0

    @property
    def scheme(self) -> str:
        """``grpcs`` with TLS, ``grpc`` without."""
        return "grpc" if self.credentials is None else "grpcs"

    def admits(self, metadata: Sequence[tuple[str, str | bytes]]) -> bool:
        """Return whether a call with this metadata has the token, or none is needed."""
        if not self.token:
            return True
        given = str(dict(metadata).get("authorization", "")).encode()
        return hmac.compare_digest(given, f"Bearer {self.token}".encode())


def _try_to_bind(target: str, host: str, port: int) -> None:
    """Raise EnvironmentLacksError if nothing can listen there; gRPC would write lines of its log."""
    reason = OSError()
    try:
        # One of several addresses of a name is enough, as for gRPC.
        found = socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)
        for family, kind, protocol, _, address in found:
            try:
                with socket.socket(family, kind, protocol) as tried:
                    tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                    tried.bind(address)
            except OSError as error:
                reason = error
            else:
                return
    except OSError as error:
        reason = error
    texts = {
        errno.EADDRINUSE: "the address is in use; stop the other program, or use port 0 to get a free one",
        errno.EADDRNOTAVAIL: "it is not an address of this machine",
    }
    text = texts.get(reason.errno or 0) or reason.strerror
    raise EnvironmentLacksError(f"can't listen on {target}: {text}") from None


def _private_socket(path: str) -> AbstractContextManager[None]:
    from rpw_fixture.services import unix_sockets  # noqa: PLC0415 - few servers have one

    return unix_sockets.private(path)


def _parse(address: str) -> tuple[str, int, str]:
    if address.startswith("unix:"):
        given = address.removeprefix("unix:").removeprefix("//")
        if not given:
            raise ConfigError(f"--listen {address!r} names no path: write unix:PATH")
        path = str(Path(given).absolute())
        if len(os.fsencode(path)) > _MAX_SOCKET_PATH:
            raise ConfigError(
                f"--listen {address}: a socket's path may have {_MAX_SOCKET_PATH} bytes at most"
            )
        return "unix", 0, path
    host, _, port = address.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65_535:
        raise ConfigError(f"--listen {address!r} is neither HOST:PORT nor unix:PATH")
    return host, int(port), ""


def is_loopback(host: str) -> bool:
    """Return whether only programs of this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _require_protection(config: Config, host: str, *, is_protected: bool) -> None:
    if not config.allow_remote:
        raise ConfigError(
            f"--listen {config.listen}: {host} is not a loopback address, and every client of this "
            "server can run any command; if that is intended, add --allow-remote"
        )
    if not is_protected:
        raise ConfigError(
            "--allow-remote needs a check of clients: by client certificates (--tls-client-ca, "
            "--tls-cert and --tls-key) or by a token (--auth-token-file); a server certificate alone "
            "lets every client in"
        )


def _credentials(config: Config) -> grpc.ServerCredentials | None:
    if config.tls_cert is None:
        return None
    pair = (_read(config.tls_key, "--tls-key"), _read(config.tls_cert, "--tls-cert"))
    flags = f"--tls-cert {config.tls_cert}, --tls-key {config.tls_key}"
    pem.require_chain(config.tls_cert, config.tls_key, flags)
    if config.tls_client_ca is not None:
        pem.require_authorities(config.tls_client_ca, f"--tls-client-ca {config.tls_client_ca}")
    client_ca = _read(config.tls_client_ca, "--tls-client-ca") or None
    return grpc.ssl_server_credentials(
        [pair], root_certificates=client_ca, require_client_auth=client_ca is not None
    )


def _token(path: str | None) -> str:
    """Return the token in a file, which must be printable ASCII. No message contains any part of it."""
    if path is None:
        return ""
    token = _read(path, "--auth-token-file").strip()
    if not token:
        raise ConfigError(f"--auth-token-file {path}: the file is empty")
    if not all(0x20 <= byte < 0x7F for byte in token):
        raise ConfigError(
            f"--auth-token-file {path}: the token must be one line of printable ASCII, "
            "because clients send it in a header; make one with: openssl rand -hex 32"
        )
    return token.decode("ascii")


def _read(path: str | None, flag: str) -> bytes:
    return b"" if path is None else pem.read(path, f"{flag} {path}")
