"""Resource names of ByteStream: parsed from clients, built for requests.

remote_execution.proto (ContentAddressableStorage) defines their forms. Instance names may have any
number of segments, so parsing starts at the keyword.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from rpw_fixture.errors import RequestError, invalid_argument
from rpw_fixture.wire.digests import Digest, DigestFunction

if TYPE_CHECKING:
    from uuid import UUID

    from rpw_fixture.wire.digests import DigestFunctions

#: The segment after ``compressed-blobs``, as in Compressor.Value but lowercase.
COMPRESSORS = frozenset({"zstd", "deflate", "brotli"})
#: No segment of an instance name may be one of these (remote_execution.proto).
RESERVED = frozenset(
    {
        "blobs",
        "uploads",
        "actions",
        "actionResults",
        "operations",
        "capabilities",
        "compressed-blobs",
    }
)
_LONGEST_SIZE = 18  # digits; one more could exceed an int64
_SHOWN = 200
#: The module uuid takes as long to import as all modules that this one needs.
_IS_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE).fullmatch


class BlobName(NamedTuple):
    """A blob in a ByteStream request.

    Attributes:
        instance: the instance name; may be empty or have several segments.
        function: the digest function.
        digest: of the content, uncompressed.
        compressor: ``zstd``, ``deflate`` or ``brotli``; empty for uncompressed transfer.
    """

    instance: str
    function: DigestFunction
    digest: Digest
    compressor: str = ""

    def for_read(self) -> str:
        """Return the resource name for a read."""
        return "/".join((*self._instance(), *self._blob()))

    def for_write(self, upload: UUID) -> str:
        """Return the resource name for a write in the upload ``upload``."""
        return "/".join((*self._instance(), "uploads", str(upload), *self._blob()))

    def _instance(self) -> tuple[str, ...]:
        return (self.instance,) if self.instance else ()

    def _blob(self) -> tuple[str, ...]:
        keyword = ("compressed-blobs", self.compressor) if self.compressor else ("blobs",)
        return (*keyword, f"{self.function.segment}{self.digest}")


def parse_read(name: str, functions: DigestFunctions) -> BlobName:
    """Return the blob of ``{instance}/blobs/…`` or ``{instance}/compressed-blobs/{compressor}/…``.

    Raises:
        RequestError: INVALID_ARGUMENT when the name has another form; the message says what is wrong.
    """
    segments = name.split("/")
    start = _keyword(segments, name)
    blob, rest = _parse_blob(segments, start, name, functions, _instance(segments[:start], name))
    if rest:
        raise _bad(name, f"{'/'.join(rest)!r} follows the size")
    return blob


def parse_write(name: str, functions: DigestFunctions, *, strict: bool = False) -> BlobName:
    """Return the blob of ``{instance}/uploads/{uuid}/blobs/…``, or ``…/compressed-blobs/…``.

    Anything may follow the size, as metadata for people.

    Args:
        strict: refuse an upload id that is not a UUID.

    Raises:
        RequestError: INVALID_ARGUMENT when the name has another form; the message says what is wrong.
    """
    segments = name.split("/")
    try:
        uploads = segments.index("uploads")
    except ValueError:
        raise _bad(name, "it has no 'uploads' segment") from None
    if len(segments) < uploads + 3 or not segments[uploads + 1]:
        raise _bad(name, "no upload id follows 'uploads'")
    if strict and not _IS_UUID(segments[uploads + 1]):
        raise _bad(name, f"the upload id {segments[uploads + 1]!r} is not a UUID")
    if segments[uploads + 2] not in {"blobs", "compressed-blobs"}:
        raise _bad(name, "neither 'blobs' nor 'compressed-blobs' follows the upload id")
    instance = _instance(segments[:uploads], name)
    blob, _metadata = _parse_blob(segments, uploads + 2, name, functions, instance)
    return blob


def _keyword(segments: list[str], name: str) -> int:
    for position, segment in enumerate(segments):
        if segment in {"blobs", "compressed-blobs"}:
            return position
    raise _bad(name, "it has neither a 'blobs' nor a 'compressed-blobs' segment")


def _instance(segments: list[str], name: str) -> str:
    if not RESERVED.isdisjoint(segments):
        raise _bad(name, "the instance name contains a reserved word")
    return "/".join(segments)


def _parse_blob(
    segments: list[str],
    start: int,
    name: str,
    functions: DigestFunctions,
    instance: str,
) -> tuple[BlobName, list[str]]:
    """Return the blob whose keyword is at ``start``, and the segments after its size."""
    rest = segments[start + 1 :]
    compressor = ""
    if segments[start] == "compressed-blobs":
        compressor = rest.pop(0) if rest else ""
        if compressor not in COMPRESSORS:
            raise _bad(name, f"{compressor!r} is not a compressor of REAPI")
    function = functions.of_segment(rest[0]) if rest else None
    if function is not None:
        del rest[0]
    if len(rest) < 2:
        raise _bad(name, "it has no hash and size after the keyword")
    hash_, size, *rest = rest
    if not (size.isascii() and size.isdigit() and len(size) <= _LONGEST_SIZE):
        raise _bad(
            name,
            f"the size {size[:_SHOWN]!r} is not a whole number in range",
        )
    try:
        function = function or functions.of_request(0, hash_ or "?")
        digest = function.checked(hash_, int(size))
    except RequestError as error:
        raise _bad(name, error.message) from None
    blob = BlobName(instance=instance, function=function, digest=digest, compressor=compressor)
    return blob, rest


def _bad(name: str, problem: str) -> RequestError:
    shown = name if len(name) <= _SHOWN else name[:_SHOWN] + "…"
    return invalid_argument(f"resource name {shown!r}: {problem}")
