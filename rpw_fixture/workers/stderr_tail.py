"""The end of a worker's stderr: bounded, with positions that separate the text of requests."""

from __future__ import annotations

import os
import threading

_READ = 1 << 16


class StderrTail:
    """The end of a worker's stderr. Thread-safe.

    Args:
        fd: the read end of the pipe, non-blocking.
        limit: number of bytes that are kept.

    Attributes:
        total: number of bytes read so far.
    """

    def __init__(self, fd: int, limit: int = 1 << 16) -> None:
        self._fd = fd
        self._limit = limit
        self._lock = threading.Lock()
        self._kept = b""
        self.total = 0

    def drain(self, most: int = 1 << 20) -> bool:
        """Read what is available, up to ``most`` bytes; return False once the stream has ended."""
        with self._lock:
            while most > 0:
                try:
                    data = os.read(self._fd, _READ)
                except BlockingIOError:
                    return True
                if not data:
                    return False
                self._kept = (self._kept + data)[-self._limit :]
                self.total += len(data)
                most -= len(data)
        return True

    def since(self, position: int) -> bytes:
        """Return what was read since `total` was ``position``, as far as it is kept."""
        with self._lock:
            fresh = self.total - position
            return self._kept[-fresh:] if fresh else b""

    @property
    def text(self) -> str:
        """All text that is kept."""
        return self._kept.decode(errors="replace")
