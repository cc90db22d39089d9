"""TLS of a channel: read the files it needs, and refuse files it would not use."""

from __future__ import annotations

from pathlib import Path

import grpc

from rpw_fixture.errors import ConfigError
from rpw_fixture.support import pem


def credentials(
    *, ca: str | Path | None, cert: str | Path | None, key: str | Path | None
) -> grpc.ChannelCredentials:
    """Return the credentials of a TLS channel.

    Args:
        ca: PEM file with the certificates to trust; the default is the system's.
        cert, key: PEM files with the client's certificate and private key.

    Raises:
        ConfigError: naming the file that cannot be read, or that contains something else.
    """
    read = [None if each is None else pem.read(each, str(each)) for each in (ca, cert, key)]
    if (cert is None) != (key is None):
        raise ConfigError("a client's TLS certificate and its key go together; one is missing")
    if ca is not None:
        pem.require_authorities(ca, str(ca))
    if cert is not None:
        pem.require_chain(cert, key, f"{cert}, {key}")
    return grpc.ssl_channel_credentials(
        root_certificates=read[0], certificate_chain=read[1], private_key=read[2]
    )


def refuse_files(endpoint: str, *files: str | Path | None) -> None:
    """Refuse certificate files for an endpoint without TLS, which would not use them.

    Raises:
        ConfigError: if there are any.
    """
    given = [str(each) for each in files if each is not None]
    if given:
        raise ConfigError(
            f"{given[0]} has no effect without TLS; write grpcs://… instead of {endpoint}"
        )
