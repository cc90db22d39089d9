"""Messages inside a google.protobuf.Any, as REAPI puts results and details into others."""

from __future__ import annotations

from google.protobuf.message import Message

from rpw_fixture.wire.protos import wkt

_TYPE_PREFIX = "type.googleapis.com/"


def packed(message: Message) -> wkt.Any:
    """The message inside an Any; in half of the time that ``Any.Pack`` takes."""
    return wkt.Any(
        type_url=_TYPE_PREFIX + message.DESCRIPTOR.full_name, value=message.SerializeToString()
    )
