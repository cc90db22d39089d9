"""TLS of a channel: which files it needs, and when it needs none."""

from __future__ import annotations

from pathlib import Path

import grpc

from rpw_fixture.errors import ConfigError
from rpw_fixture.support import pem


def credentials(
    *, ca: str | Path | None, cert: str | Path | None, key: str | Path | None
) -> grpc.ChannelCredentials:
    """What a TLS channel needs.

    Args:
        ca: file with the certificates to trust, PEM; the system's when not given.
        cert, key: files with the client's certificate and key, PEM.

    Raises:
        ConfigError: naming the file that can't be read, or holds something else.
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
    """Certificates would not be used without TLS, which nobody who gives some can mean.

    Raises:
        ConfigError: when there are some.
    """
    given = [str(each) for each in files if each is not None]
    if given:
        raise ConfigError(
            f"{given[0]} is of no use without TLS: write grpcs://… instead of {endpoint}"
        )
