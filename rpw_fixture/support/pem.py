"""Checking files of certificates and keys, because gRPC's errors do not name the file.

``what`` names the file in messages: a path, or a flag and its path.
"""

from __future__ import annotations

from pathlib import Path

from rpw_fixture.errors import ConfigError


def read(path: str | Path, what: str) -> bytes:
    """Return the bytes of a file.

    Raises:
        ConfigError: when it can't be read.
    """
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{what}: {error.strerror}") from None


def require_chain(cert: str | Path, key: str | Path | None, what: str) -> None:
    """Raise unless there is a certificate chain with its private key.

    Args:
        cert, key: readable files; the key may be in the file of the certificates.

    Raises:
        ConfigError: when the files do not hold them.
    """
    import ssl  # noqa: PLC0415 - takes long to load, and few servers and clients need it

    try:
        # Without a password, OpenSSL would ask for one on the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(cert, key, password=b"")
    except ssl.SSLError as error:
        raise ConfigError(
            f"{what}: no certificate chain and its private key in PEM, "
            f"or the key is encrypted ({error.reason or error})"
        ) from None


def require_authorities(path: str | Path, what: str) -> None:
    """Raise unless a readable file holds certificates to trust.

    Raises:
        ConfigError: when it holds none.
    """
    import ssl  # noqa: PLC0415 - as above

    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(path)
    except ssl.SSLError as error:
        raise ConfigError(f"{what}: no certificate in PEM ({error.reason or error})") from None
