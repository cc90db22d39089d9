"""How to reach a server that somebody else runs: address, TLS, headers, instance, platform properties.

A value that options of pytest and of ``check`` are read into, before anything heavy is loaded. Nothing
here connects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from rpw_fixture.errors import ConfigError

if TYPE_CHECKING:
    from rpw_fixture.client import Client

#: What gRPC takes as the name of a header, and as its value (the gRPC-over-HTTP/2 specification).
_HEADER_NAME = re.compile(r"[0-9A-Za-z_.-]+")
_HEADER_VALUE = re.compile(r"[ -~]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingServer:
    """An existing REAPI server, and what it wants to be told.

    Attributes:
        endpoint: ``grpc://HOST:PORT``, ``grpcs://HOST:PORT`` for TLS, or ``unix:PATH``.
        instance_name: of every request.
        headers: metadata of every call, such as an API key.
        tls_ca: file with the certificates to trust, PEM; the system's when not given.
        tls_cert, tls_key: files with the client's certificate and key, PEM.
        platform: platform properties that actions get unless they have them, such as
            ``container-image``.
        may_silo: ``check`` may send ``cache-silo-key`` where nothing else leads to a fresh worker.
    """

    endpoint: str
    instance_name: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    platform: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    may_silo: bool = True

    @property
    def client_options(self) -> dict[str, Any]:
        """Arguments of `Client` besides the endpoint."""
        return {
            "instance_name": self.instance_name,
            "headers": dict(self.headers),
            "tls_ca": self.tls_ca,
            "tls_cert": self.tls_cert,
            "tls_key": self.tls_key,
        }

    def connect(self) -> Client:
        """A client of that server; the caller closes it.

        Raises:
            ConfigError: for an endpoint or a file that can't be used.
        """
        from rpw_fixture.client import Client  # noqa: PLC0415 - loads grpc

        return Client(self.endpoint, **self.client_options)


def headers(texts: Iterable[str], option: str) -> dict[str, str]:
    """Headers written as ``NAME=VALUE``.

    Raises:
        ConfigError: for text that is none; it tells nothing of the value, which may be a secret.
    """
    found = {}
    for name, value in _pairs(texts, option, is_secret=True):
        if not _HEADER_NAME.fullmatch(name) or name.lower().endswith("-bin"):
            raise ConfigError(f"{option} {name}=…: no name of a text header")
        if not _HEADER_VALUE.fullmatch(value):
            raise ConfigError(f"{option} {name}=…: the value holds more than printable ASCII")
        found[name.lower()] = value
    return found


def properties(texts: Iterable[str], option: str) -> dict[str, str]:
    """Platform properties written as ``NAME=VALUE``.

    Raises:
        ConfigError: for text that is none.
    """
    return dict(_pairs(texts, option))


def _pairs(
    texts: Iterable[str], option: str, *, is_secret: bool = False
) -> Iterable[tuple[str, str]]:
    for text in texts:
        name, separator, value = text.partition("=")
        if not separator or not name:
            shown = "" if is_secret else f" {text!r}"
            raise ConfigError(f"{option}{shown}: write NAME=VALUE")
        yield name, value
