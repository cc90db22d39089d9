"""inotify, for which Python has no module: changes of names in watched folders.

Linux only, through the C library. The caller interprets the changes.
"""

from __future__ import annotations

import os
import struct
import sys

from rpw_fixture.support.closing import Closeable

#: Bits of a record about the watch itself (inotify.h).
QUEUE_OVERFLOW, IGNORED = 0x4000, 0x8000
_HEAD = struct.Struct("iIII")
_LONGEST = _HEAD.size + 256
_BUFFER = 1 << 16


#: One change: the watch, the mask, and the name in the watched folder; the name is empty for a change of
#: the watched folder or file itself.
Record = tuple[int, int, bytes]


class Inotify(Closeable):
    """One inotify instance; their number per user is limited.

    Raises:
        OSError: when inotify is missing, or its limits are reached.
    """

    def __init__(self) -> None:
        if sys.platform != "linux":
            raise OSError("there is no inotify on this system")
        import ctypes  # noqa: PLC0415 - costs milliseconds

        self._ctypes = ctypes
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._checked(self._libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))

    @property
    def descriptor(self) -> int:
        """The descriptor that is readable when there are changes to read."""
        return self._fd

    def close(self) -> None:
        """End watching."""
        os.close(self._fd)

    def add(self, path: bytes, mask: int) -> int:
        """Watch ``path`` for the changes in ``mask``; return the number of the watch.

        Raises:
            OSError: when ``path`` does not exist, or there are too many watches.
        """
        return self._checked(self._libc.inotify_add_watch(self._fd, path, mask))

    def read(self) -> list[Record]:
        """Return all changes so far that were not returned before."""
        records: list[Record] = []
        while True:
            try:
                data = os.read(self._fd, _BUFFER)
            except BlockingIOError:
                return records
            records += _records(data)
            if len(data) <= _BUFFER - _LONGEST:
                return records  # the buffer had room for another record, so there was none

    def _checked(self, value: int) -> int:
        if value < 0:
            code = self._ctypes.get_errno()
            raise OSError(code, f"inotify: {os.strerror(code)}")
        return value


def _records(data: bytes) -> list[Record]:
    # Each action makes a dozen of these, hence the plain tuples and no generator.
    records: list[Record] = []
    offset, end, unpack = 0, len(data), _HEAD.unpack_from
    while offset < end:
        watch, mask, _cookie, length = unpack(data, offset)
        offset += 16
        if length:
            records.append((watch, mask, data[offset : offset + length].rstrip(b"\0")))
            offset += length
        else:
            records.append((watch, mask, b""))
    return records
