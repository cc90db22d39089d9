"""The layout of a record: size of the name, number, name."""

import struct

_HEADER = struct.Struct("<HI")


class Packer:
    """Packs records; they are many and small, so that all are built in the same place."""

    def __init__(self, record_size):
        self._record = bytearray(record_size)
        self._longest = record_size - _HEADER.size

    def pack(self, name, value):
        data = name.encode()[: self._longest]
        _HEADER.pack_into(self._record, 0, len(data), value)
        self._record[_HEADER.size : _HEADER.size + len(data)] = data
        return bytes(self._record)
