"""Digests, and the digest functions that compute them.

A digest names content by hash and size. Messages name the digest function in a separate field
(remote_execution.proto, Digest and DigestFunction).
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from rpw_fixture.errors import ConfigError, RequestError, invalid_argument
from rpw_fixture.wire import protos

if TYPE_CHECKING:
    from rpw_fixture.wire.protos import remote_execution

_IS_HEX = re.compile("[0-9a-f]+").fullmatch


class Hasher(Protocol):
    """The methods that the objects of hashlib and blake3 share."""

    def update(self, data: bytes | memoryview, /) -> object:
        """Add ``data`` to the content."""

    def hexdigest(self) -> str:
        """Return the hash of the content so far, in lowercase hex."""


class NewHasher(Protocol):
    """A function such as `hashlib.sha256`."""

    def __call__(self, data: bytes | memoryview = ..., /) -> Hasher:
        """Return a new hasher whose content is ``data``."""


class Digest(NamedTuple):
    """The name of content: its ``hash`` in lowercase hex, and its ``size`` in bytes."""

    hash: str
    size: int

    def __str__(self) -> str:
        return _written(self)


@functools.lru_cache(maxsize=4096)
def _written(digest: Digest) -> str:
    # An action's digest is in each of its events; they share one string.
    return f"{digest.hash}/{digest.size}"


@dataclass(frozen=True, slots=True, kw_only=True)
class DigestFunction:
    """One member of DigestFunction.Value that this process can compute.

    Attributes:
        name: as in the protocol, such as ``SHA256``.
        number: its enum value.
        hex_length: number of hex digits of a hash.
        new: makes a new hasher.
        is_named: whether clients name it in requests and resource names, because the length of its
            hashes is ambiguous (remote_execution.proto, ExecuteRequest.digest_function).
    """

    name: str
    number: int
    hex_length: int
    new: NewHasher
    is_named: bool = False

    @property
    def segment(self) -> str:
        """Prefix of the hash in resource names: ``blake3/``, or empty."""
        return f"{self.name.lower()}/" if self.is_named else ""

    @property
    def empty(self) -> Digest:
        """Digest of the empty blob, which every store always has."""
        return Digest(self.new().hexdigest(), 0)

    def of(self, data: bytes | memoryview) -> Digest:
        """Return the digest of ``data``."""
        return Digest(self.new(data).hexdigest(), len(data))

    def validate(self, message: remote_execution.Digest, *, what: str = "digest") -> Digest:
        """Return a client's digest message as a value.

        Args:
            what: names the digest in the error.

        Raises:
            RequestError: INVALID_ARGUMENT when the hash is not lowercase hex of this function's
                length, or the size is negative (remote_execution.proto, Digest).
        """
        return self.checked(message.hash, message.size_bytes, what=what)

    def checked(self, hash_: str, size: int, *, what: str = "digest") -> Digest:
        """Return a digest of a given hash and size, as resource names have them; else as `validate`."""
        if not self._is_hash(hash_):
            shown = hash_ if len(hash_) <= 160 else hash_[:160] + "…"
            raise invalid_argument(
                f"{what} {shown!r} is not a {self.name} hash: "
                f"expected {self.hex_length} lowercase hex digits"
            )
        if size < 0:
            raise invalid_argument(f"{what} {hash_}/{size} has a negative size")
        return Digest(hash_, size)

    def _is_hash(self, hash_: str) -> bool:
        return len(hash_) == self.hex_length and _IS_HEX(hash_) is not None

    def subject(self, digest: Digest) -> str:
        """Return the subject of a MISSING violation: ``blobs/[function/]hash/size``."""
        return f"blobs/{self.segment}{digest.hash}/{digest.size}"


def digest_of(message: remote_execution.Digest) -> Digest:
    """Return a digest message as a value, unchecked; `DigestFunction.validate` checks a client's."""
    return Digest(message.hash, message.size_bytes)


def message_of(digest: Digest) -> remote_execution.Digest:
    """Return a digest as its message."""
    return protos.remote_execution.Digest(hash=digest.hash, size_bytes=digest.size)


def mismatch(digest: Digest, actual: str) -> RequestError:
    """Return the INVALID_ARGUMENT error for content that does not match its digest."""
    return invalid_argument(f"digest {digest} does not match the content, which is {actual}")


def _blake3(data: bytes | memoryview = b"", /) -> Hasher:
    from blake3 import blake3  # noqa: PLC0415 - optional extra, loaded only when it is used

    hasher: Hasher = blake3(data)
    return hasher


def _known() -> Iterable[DigestFunction]:
    yield DigestFunction(name="SHA256", number=1, hex_length=64, new=hashlib.sha256)
    yield DigestFunction(name="SHA1", number=2, hex_length=40, new=hashlib.sha1)
    yield DigestFunction(name="SHA384", number=5, hex_length=96, new=hashlib.sha384)
    yield DigestFunction(name="SHA512", number=6, hex_length=128, new=hashlib.sha512)
    if importlib.util.find_spec("blake3") is not None:
        yield DigestFunction(name="BLAKE3", number=9, hex_length=64, new=_blake3, is_named=True)


#: Every digest function this process can compute, by name.
FUNCTIONS: Mapping[str, DigestFunction] = {function.name: function for function in _known()}
SHA256 = FUNCTIONS["SHA256"]


class DigestFunctions:
    """The digest functions that a server offers.

    Args:
        names: of the functions; the first one is the default, which old clients compare with theirs
            (ExecutionCapabilities.digest_function).

    Raises:
        ConfigError: for a function that can't be computed here, or for no name.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.offered = tuple(dict.fromkeys(_function(name) for name in names))
        if not self.offered:
            raise ConfigError("at least one digest function is needed, such as SHA256")
        self._by_number = {function.number: function for function in self.offered}
        self._by_segment = {function.name.lower(): function for function in self.offered}
        inferred = [function for function in self.offered if not function.is_named]
        self._by_length = {function.hex_length: function for function in inferred or self.offered}

    @property
    def default(self) -> DigestFunction:
        """First function offered."""
        return self.offered[0]

    def of_request(self, number: int, some_hash: str = "") -> DigestFunction:
        """Return the function of a request: the one it names, or the one with hashes of that length.

        Args:
            number: the request's ``digest_function`` field, 0 when unset.
            some_hash: any hash of the request, empty when it has none.

        Raises:
            RequestError: INVALID_ARGUMENT for a function that is not offered, or an unknown length.
        """
        if number:
            function = self._by_number.get(number)
            if function is None:
                raise invalid_argument(f"digest function {number} is not offered; {self._offer()}")
            return function
        if not some_hash:
            return self.default
        function = self._by_length.get(len(some_hash))
        if function is None:
            raise invalid_argument(
                f"digest {some_hash[:160]!r} has {len(some_hash)} digits; {self._offer()}"
            )
        return function

    def of_segment(self, segment: str) -> DigestFunction | None:
        """Return the function that a segment of a resource name stands for (``blake3``), or None."""
        return self._by_segment.get(segment)

    def _offer(self) -> str:
        return "this server offers " + ", ".join(function.name for function in self.offered)


def _function(name: str) -> DigestFunction:
    try:
        return FUNCTIONS[name.upper()]
    except KeyError:
        known = ", ".join(FUNCTIONS)
        hint = " (install the blake3 package)" if name.upper() == "BLAKE3" else ""
        raise ConfigError(f"unknown digest function {name!r}{hint}; choose from {known}") from None
