"""The two ByteStream messages that carry content, taken apart and put together without copies.

A message object copies its content twice on each way, which for messages of 1 MiB costs more than
hashing them. Only google.bytestream.WriteRequest and ReadResponse are known here.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

from rpw_fixture.wire.protos import bytestream
from rpw_fixture.wire.varints import varint

#: Below this many bytes a message object is the faster way.
_LARGE = 32 << 10
# Tags: field number and wire type in one byte.
_RESOURCE_NAME, _WRITE_OFFSET, _FINISH_WRITE, _DATA = 0x0A, 0x10, 0x18, 0x52
_READ_DATA = b"\x52"
#: Encoded, a varint of more bytes than this is negative or none at all.
_LONGEST_VARINT = 9


class WriteRequest(Protocol):
    """What a write says, however it is held."""

    @property
    def resource_name(self) -> str:
        """May be empty but in the first message."""

    @property
    def write_offset(self) -> int:
        """Where the data goes."""

    @property
    def finish_write(self) -> bool:
        """Nothing follows."""

    @property
    def data(self) -> bytes | memoryview:
        """The content."""


class _Fields(NamedTuple):
    resource_name: str
    write_offset: int
    finish_write: bool
    data: bytes | memoryview


class _UnusualError(Exception):
    """Not as any client writes it; protobuf decides what it means."""


def parse_write_request(raw: bytes) -> WriteRequest:
    """A google.bytestream.WriteRequest; the data of a large one is a view into ``raw``.

    Raises:
        google.protobuf.message.DecodeError: when ``raw`` is none.
    """
    if len(raw) >= _LARGE:
        try:
            return _take_apart(memoryview(raw))
        except (_UnusualError, IndexError, UnicodeDecodeError):
            pass
    return bytestream.WriteRequest.FromString(raw)


def encode_read_response(data: bytes) -> bytes:
    """An encoded google.bytestream.ReadResponse that holds ``data``, which is not empty."""
    return b"".join((_READ_DATA, varint(len(data)), data))


def _take_apart(view: memoryview) -> _Fields:
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
    """The number at ``position``, and where it ends."""
    value = 0
    for count in range(_LONGEST_VARINT):
        byte = view[position + count]
        value |= (byte & 0x7F) << (7 * count)
        if byte < 0x80:
            return value, position + count + 1
    raise _UnusualError
