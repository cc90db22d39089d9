"""inotify, of which Python has no module: which names in watched folders something happened to.

Linux only, through the C library. What a change means is the caller's business.
"""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from typing import NamedTuple

from rpw_fixture.closing import Closing

#: Bits of a record that say something about the watching itself (inotify.h).
QUEUE_OVERFLOW, IGNORED = 0x4000, 0x8000
_HEAD = struct.Struct("iIII")
_LONGEST = _HEAD.size + 256
_BUFFER = 1 << 16


class Record(NamedTuple):
    """What happened to ``name`` in the folder of a watch; without a name, to the folder itself."""

    watch: int
    mask: int
    name: bytes


class Inotify(Closing):
    """One inotify instance, of which users have few.

    Raises:
        OSError: when there is none, or its limits are used up.
    """

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("there is no inotify on this system")
        import ctypes  # noqa: PLC0415 - costs milliseconds

        self._ctypes = ctypes
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    def close(self) -> None:
        """Ends watching."""
        os.close(self._fd)

    def add(self, path: bytes, mask: int) -> int:
        """Watches what is at ``path`` for what ``mask`` names; the watch that stands for it.

        Raises:
            OSError: when there is nothing, or there are too many watches.
        """
        return self._checked(self._libc.inotify_add_watch(self._fd, path, mask))

    def read(self) -> list[Record]:
        """What happened up to now."""
        records: list[Record] = []
        while True:
            try:
                data = os.read(self._fd, _BUFFER)
            except BlockingIOError:
                return records
            records += _records(data)
            if len(data) <= _BUFFER - _LONGEST:
                return records  # there was room for one more

    def _checked(self, value: int) -> int:
        if value < 0:
            code = self._ctypes.get_errno()
            raise OSError(code, f"inotify: {os.strerror(code)}")
        return value


def _records(data: bytes) -> Iterator[Record]:
    offset = 0
    while offset < len(data):
        watch, mask, _cookie, length = _HEAD.unpack_from(data, offset)
        offset += _HEAD.size
        yield Record(watch, mask, data[offset : offset + length].rstrip(b"\0"))
        offset += length
