"""What a worker writes to stderr: bounded, and told apart by the time when it came."""

from __future__ import annotations

import os
import threading

_READ = 1 << 16


class StderrTail:
    """Keeps the end of a worker's stderr. All methods may be called from any thread.

    Args:
        fd: the pipe's end to read from, non-blocking.
        limit: how many bytes are kept.

    Attributes:
        total: how many bytes were read so far.
    """

    def __init__(self, fd: int, limit: int = 1 << 16) -> None:
        self._fd = fd
        self._limit = limit
        self._lock = threading.Lock()
        self._kept = b""
        self.total = 0

    def drain(self, most: int = 1 << 20) -> bool:
        """Reads what is there, up to ``most`` bytes; False once the stream has ended."""
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
        """What was read when `total` was ``position`` and after, as far as it is kept."""
        with self._lock:
            fresh = self.total - position
            return self._kept[-fresh:] if fresh else b""

    @property
    def text(self) -> str:
        """All that is kept."""
        return self._kept.decode(errors="replace")
