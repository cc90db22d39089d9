"""TLS of a channel: files read and looked into, before gRPC fails with them in words of its own."""

from __future__ import annotations

from pathlib import Path

import grpc

from rpw_fixture.errors import ConfigError


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
    read = [_read(each) for each in (ca, cert, key)]
    if (cert is None) != (key is None):
        raise ConfigError("a client's TLS certificate and its key go together; one is missing")
    if ca is not None or cert is not None:
        _check(ca, cert, key)
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


def _check(ca: str | Path | None, cert: str | Path | None, key: str | Path | None) -> None:
    import ssl  # noqa: PLC0415 - takes long to load, and few clients need it

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        if ca is not None:
            context.load_verify_locations(ca)
    except ssl.SSLError as error:
        raise ConfigError(f"{ca}: no certificate in PEM ({error.reason or error})") from None
    try:
        if cert is not None:
            context.load_cert_chain(cert, key, password=b"")  # else OpenSSL asks at the terminal
    except ssl.SSLError as error:
        raise ConfigError(
            f"{cert}, {key}: no certificate chain and its private key in PEM, "
            f"or the key is encrypted ({error.reason or error})"
        ) from None


def _read(path: str | Path | None) -> bytes | None:
    try:
        return None if path is None else Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
