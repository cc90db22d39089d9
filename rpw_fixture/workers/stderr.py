"""What a worker writes to stderr: bounded, and told apart by request."""

from __future__ import annotations

import os

_READ = 1 << 16


class StderrTail:
    """Keeps the end of a worker's stderr.

    Args:
        fd: the pipe's end to read from, non-blocking.
        limit: how many bytes are kept.
    """

    def __init__(self, fd: int, limit: int = 1 << 16) -> None:
        self._fd = fd
        self._limit = limit
        self._kept = b""
        self._total = 0
        self._mark = 0

    def drain(self, most: int = 1 << 20) -> bool:
        """Reads what is there, up to ``most`` bytes; False once the stream has ended."""
        while most > 0:
            try:
                data = os.read(self._fd, _READ)
            except BlockingIOError:
                return True
            if not data:
                return False
            self._kept = (self._kept + data)[-self._limit :]
            self._total += len(data)
            most -= len(data)
        return True

    def mark(self) -> None:
        """What comes from here on belongs to the next request."""
        self._mark = self._total

    @property
    def text(self) -> str:
        """All that is kept."""
        return self._kept.decode(errors="replace")

    @property
    def since_mark(self) -> bytes:
        """What came after `mark`, as far as it is kept."""
        fresh = self._total - self._mark
        return self._kept[-fresh:] if fresh else b""
