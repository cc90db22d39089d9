"""Messages with much content, decoded and encoded by hand.

A message object copies its content twice when it is decoded and twice when it is encoded. For messages
of 1 MiB that costs more than hashing them. Here are google.bytestream.WriteRequest and ReadResponse,
the entries of batch responses, and google.protobuf.Any.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from google.protobuf.message import Message

from rpw_fixture.wire.protos import bytestream, wkt
from rpw_fixture.wire.varints import varint

if TYPE_CHECKING:
    from rpw_fixture.wire.protos import remote_execution as reapi

#: Messages below this many bytes are faster to decode as message objects.
_LARGE = 32 << 10

# Tags: field number and wire type in one byte.
_RESOURCE_NAME, _WRITE_OFFSET, _FINISH_WRITE, _DATA = 0x0A, 0x10, 0x18, 0x52
_READ_DATA = b"\x52"
#: A longer varint, in bytes, is negative or invalid.
_LONGEST_VARINT = 9


class WriteRequest(Protocol):
    """The fields of a google.bytestream.WriteRequest."""

    @property
    def resource_name(self) -> str:
        """Resource name; may be empty after the first message."""

    @property
    def write_offset(self) -> int:
        """Position of the data in the upload, bytes."""

    @property
    def finish_write(self) -> bool:
        """Whether this is the last message."""

    @property
    def data(self) -> bytes | memoryview:
        """Content."""


class _Fields(NamedTuple):
    resource_name: str
    write_offset: int
    finish_write: bool
    data: bytes | memoryview


class _UnusualError(Exception):
    """No known client encodes a message like this; let protobuf decode it."""


def parse_write_request(raw: bytes) -> WriteRequest:
    """Return a google.bytestream.WriteRequest; the data of a large one is a view of ``raw``.

    Raises:
        google.protobuf.message.DecodeError: when ``raw`` is not such a message.
    """
    if len(raw) >= _LARGE:
        try:
            return _decode_write_request(memoryview(raw))
        except (_UnusualError, IndexError, UnicodeDecodeError):
            pass
    return bytestream.WriteRequest.FromString(raw)


def encode_read_response(data: bytes) -> bytes:
    """Return an encoded google.bytestream.ReadResponse with ``data``, which must not be empty."""
    return b"".join((_READ_DATA, varint(len(data)), data))


def _decode_write_request(view: memoryview) -> _Fields:
    name, offset, finish = "", 0, False
    data: bytes | memoryview = b""
    position, end = 0, len(view)
    while position < end:
        tag = view[position]
        value, position = _varint(view, position + 1)
        if tag == _WRITE_OFFSET:
            offset = value
        elif tag == _FINISH_WRITE:
            finish = bool(value)
        elif tag in (_RESOURCE_NAME, _DATA):
            content = view[position : position + value]
            position += value
            if tag == _DATA:
                data = content
            else:
                name = str(content, "utf-8")
        else:
            raise _UnusualError
    if position > end:
        raise _UnusualError
    return _Fields(name, offset, finish, data)


def _varint(view: memoryview, position: int) -> tuple[int, int]:
    """Return the number at ``position``, and the position after it."""
    value = 0
    for count in range(_LONGEST_VARINT):
        byte = view[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise _UnusualError


# Tags of an entry in the batch responses, and of the fields in it.
_ENTRY, _DIGEST = b"\x0a", b"\x0a"
_UPDATED_OK = b"\x12\x00"
_BLOB_DATA, _BLOB_OK, _BLOB_COMPRESSOR = b"\x12", b"\x1a\x00", b"\x20"


def updated_entry(digest: reapi.Digest) -> bytes:
    """Return an encoded entry of a BatchUpdateBlobsResponse for a blob that was stored."""
    encoded = digest.SerializeToString()
    size = varint(len(encoded))
    whole = varint(len(_DIGEST) + len(size) + len(encoded) + len(_UPDATED_OK))
    return b"".join((_ENTRY, whole, _DIGEST, size, encoded, _UPDATED_OK))


def read_entry(digest: reapi.Digest, data: bytes, compressor: int) -> Iterator[bytes]:
    """Yield an encoded entry of a BatchReadBlobsResponse, in pieces.

    Args:
        data: the content as it is sent.
        compressor: number of the compressor that was used, 0 for none.
    """
    encoded = digest.SerializeToString()
    head = b"".join((_DIGEST, varint(len(encoded)), encoded, _BLOB_DATA, varint(len(data))))
    tail = _BLOB_OK + (_BLOB_COMPRESSOR + varint(compressor) if compressor else b"")
    yield from (_ENTRY, varint(len(head) + len(data) + len(tail)), head, data, tail)


_TYPE_PREFIX = "type.googleapis.com/"


def packed(message: Message) -> wkt.Any:
    """Return an Any that contains ``message``, in half the time of ``Any.Pack``."""
    return packed_bytes(type(message), message.SerializeToString())


def packed_bytes(kind: Any, encoded: bytes) -> wkt.Any:
    """Return an Any that contains an encoded message, of the class ``kind``."""
    return wkt.Any(type_url=_type_url(kind), value=encoded)


@cache
def _type_url(kind: Any) -> str:
    return f"{_TYPE_PREFIX}{kind.DESCRIPTOR.full_name}"
