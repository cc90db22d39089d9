"""Variable-length integers of the protobuf wire format, for messages that are encoded by hand."""

from __future__ import annotations

_ONE_BYTE = tuple(bytes((number,)) for number in range(0x80))


def varint(number: int) -> bytes:
    """Return a non-negative integer in its encoding: seven bits a byte, the lowest first."""
    if number < 0x80:
        return _ONE_BYTE[number]
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
