"""An existing server and its options: address, TLS, headers, instance name, platform properties.

The options of pytest and of ``check`` for it are defined here once. Nothing here loads gRPC or connects.
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
ENDPOINT_FORMS = "grpc://HOST:PORT, grpcs://HOST:PORT or unix:PATH"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExistingServer:
    """An existing REAPI server, and what its calls need.

    Attributes:
        endpoint: ``grpc://HOST:PORT``, ``grpcs://HOST:PORT`` for TLS, or ``unix:PATH``.
        instance_name: of every request.
        headers: metadata of every call, such as an API key.
        tls_ca: PEM file with the certificates to trust; the default is the system's.
        tls_cert, tls_key: PEM files with the client's certificate and private key.
        platform: platform properties for actions that do not have them, such as
            ``container-image``.
        search_path: PATH of the programs that ``check --executor`` starts there; empty for the usual one.
        may_silo: whether ``check`` may send ``cache-silo-key`` if nothing else leads to a fresh
            worker.

    Raises:
        ConfigError: for an endpoint of another form.
    """

    endpoint: str
    instance_name: str = ""
    headers: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    tls_ca: str | None = None
    tls_cert: str | None = None
    tls_key: str | None = None
    platform: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    search_path: str = ""
    may_silo: bool = True

    def __post_init__(self) -> None:
        parse(self.endpoint)  # raises for one that can't be used, before anything runs

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
        """Return a client of that server; the caller closes it.

        Raises:
            ConfigError: for an endpoint or a file that cannot be used.
        """
        from rpw_fixture.client import Client  # noqa: PLC0415 - loads grpc

        return Client(self.endpoint, **self.client_options)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerOption:
    """An option that sets a field of `ExistingServer`.

    Attributes:
        field: name of the field.
        bazel_name: the option as ``check`` has it, which is Bazel's name for it.
        pytest_name: the option as pytest has it.
        is_repeatable: whether it may be given many times, each time as ``NAME=VALUE``.
    """

    field: str
    bazel_name: str
    pytest_name: str
    metavar: str
    help: str
    is_repeatable: bool = False


#: All options beside the endpoint itself that pytest and ``check`` have in common.
OPTIONS = (
    ServerOption(
        field="instance_name",
        bazel_name="--remote-instance-name",
        pytest_name="--rpw-endpoint-instance",
        metavar="NAME",
        help="instance name of every request",
    ),
    ServerOption(
        field="tls_ca",
        bazel_name="--tls-certificate",
        pytest_name="--rpw-endpoint-ca",
        metavar="FILE",
        help="certificates to trust with grpcs://…, PEM (default: those of the system)",
    ),
    ServerOption(
        field="tls_cert",
        bazel_name="--tls-client-certificate",
        pytest_name="--rpw-endpoint-cert",
        metavar="FILE",
        help="client certificate, PEM",
    ),
    ServerOption(
        field="tls_key",
        bazel_name="--tls-client-key",
        pytest_name="--rpw-endpoint-key",
        metavar="FILE",
        help="private key of the client certificate, PEM",
    ),
    ServerOption(
        field="headers",
        bazel_name="--remote-header",
        pytest_name="--rpw-endpoint-header",
        metavar="NAME=VALUE",
        help="metadata of every call, such as an API key (repeatable)",
        is_repeatable=True,
    ),
)


def parse(endpoint: str) -> tuple[str, str]:
    """Return an endpoint's scheme, ``grpc`` or ``grpcs``, and its target for gRPC.

    Raises:
        ConfigError: it is none.
    """
    scheme, separator, target = endpoint.partition("://")
    if not separator:
        scheme, target = "grpc", endpoint
    if scheme == "unix":
        scheme, target = "grpc", f"unix:{target}"
    is_known = scheme in {"grpc", "grpcs"}
    if not is_known or not (target.startswith("unix:") or target.rpartition(":")[2].isdecimal()):
        raise ConfigError(
            f"endpoint {endpoint!r} is neither grpc://HOST:PORT, grpcs://HOST:PORT nor unix:PATH"
        )
    return scheme, target


def from_options(
    endpoint: str, given: Mapping[str, Any], names: Mapping[str, str], **others: Any
) -> ExistingServer:
    """Return the server that options describe.

    Args:
        endpoint: address of the server.
        given: values of options by field; of a repeatable one, a list of texts. None means not given.
        names: how the user writes each option, by field, for messages.
        others: values of other fields of `ExistingServer`.

    Raises:
        ConfigError: for a value that cannot be used.
    """
    values = {name: value for name, value in given.items() if value}
    if "headers" in values:
        values["headers"] = headers(values["headers"], names["headers"])
    return ExistingServer(endpoint=endpoint, **values, **others)


def headers(texts: Iterable[str], option: str) -> dict[str, str]:
    """Return headers written as ``NAME=VALUE``, with lower-case names.

    Raises:
        ConfigError: for a text that is not one. The message leaves the value out: it may be a secret.
    """
    values = {}
    for name, value in _pairs(texts, option, is_secret=True):
        if not _HEADER_NAME.fullmatch(name) or name.lower().endswith("-bin"):
            raise ConfigError(f"{option} {name}=…: no name of a text header")
        if not _HEADER_VALUE.fullmatch(value):
            raise ConfigError(f"{option} {name}=…: the value holds more than printable ASCII")
        values[name.lower()] = value
    return values


def properties(texts: Iterable[str], option: str) -> dict[str, str]:
    """Return platform properties written as ``NAME=VALUE``.

    Raises:
        ConfigError: for a text that is not one.
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
