"""Entries of encoded BatchUpdateBlobsResponse and BatchReadBlobsResponse messages.

Put together by hand, because thousands come at once: message objects copy each digest and blob
twice, which costs more than all the rest. Encoded messages behind one another are one message, so
the entries of a response are joined (protobuf's encoding, "Last One Wins").
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rpw_fixture.wire.varints import varint

if TYPE_CHECKING:
    from rpw_fixture.wire.protos import remote_execution as re

# Tags: of an entry in either response, and of the fields in it.
_ENTRY, _DIGEST = b"\x0a", b"\x0a"
_UPDATED_OK = b"\x12\x00"
_READ_DATA, _READ_OK, _READ_COMPRESSOR = b"\x12", b"\x1a\x00", b"\x20"


def updated_entry(digest: re.Digest) -> bytes:
    """A blob that is kept now."""
    encoded = digest.SerializeToString()
    size = varint(len(encoded))
    whole = varint(len(_DIGEST) + len(size) + len(encoded) + len(_UPDATED_OK))
    return b"".join((_ENTRY, whole, _DIGEST, size, encoded, _UPDATED_OK))


def read_entry(digest: re.Digest, data: bytes, compressor: int) -> Iterator[bytes]:
    """A blob that is sent, in pieces; ``compressor`` is the number of the one used, 0 for none."""
    encoded = digest.SerializeToString()
    head = b"".join((_DIGEST, varint(len(encoded)), encoded, _READ_DATA, varint(len(data))))
    tail = _READ_OK + (_READ_COMPRESSOR + varint(compressor) if compressor else b"")
    yield from (_ENTRY, varint(len(head) + len(data) + len(tail)), head, data, tail)
