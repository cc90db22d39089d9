"""A process with its output at hand. Its tree counts as gone when that is at end of file."""

from __future__ import annotations

import os
import select
from collections.abc import Callable

import pytest

from rpw_fixture.processes.spawner import Exit, Process
from rpw_fixture.support.closing import Closeable

#: Seconds; only ever reached by a failure.
DEADLINE = 30.0


class WatchedProcess(Closeable):
    """A process with its output pipe, and its input at end of file.

    Args:
        start: starts it with the descriptors of its standard input and output.
    """

    def __init__(self, start: Callable[[int, int], Process]) -> None:
        self.output, writing = os.pipe()
        silence = os.open(os.devnull, os.O_RDONLY)
        try:
            self.process = start(silence, writing)
        except BaseException:
            os.close(self.output)
            raise
        finally:
            os.close(writing)
            os.close(silence)

    def close(self) -> None:
        """Kills what still runs."""
        self.process.close()
        os.close(self.output)

    def read(self, size: int = 65536) -> bytes:
        assert readable(self.output), "no output in time"
        return os.read(self.output, size)

    def read_until(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (more := self.read()):
            data += more
        return data

    def read_all(self) -> bytes:
        return b"".join(iter(self.read, b""))

    def ended(self) -> Exit:
        ended = self.process.wait(DEADLINE)
        assert ended is not None, "still running"
        return ended

    def assert_tree_gone(self) -> None:
        """Everything was gone when the exit was reported: end of file without waiting."""
        while readable(self.output, 0):
            if not os.read(self.output, 65536):
                return
        pytest.fail("a descendant still holds the output pipe")


def readable(descriptor: int, seconds: float = DEADLINE) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])
