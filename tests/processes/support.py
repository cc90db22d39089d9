"""Processes with their output at hand, and programs for them that are hard to get rid of.

A tree counts as gone when its output pipe is at end of file: every member holds the write end.
"""

from __future__ import annotations

import contextlib
import os
import select
import sys
from pathlib import Path
from typing import Any, Self

import pytest

from rpw_fixture.processes.client import Exit, Process, Spawner

PYTHON = [sys.executable, "-I", "-S", "-c"]
DEADLINE = 30.0  # seconds; only ever reached by a failure

# A daemon by the book: its own session, its parent gone, every signal but SIGKILL ignored.
DAEMON = """
import os, signal
ready, tell = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            try:
                signal.signal(number, signal.SIG_IGN)
            except OSError:
                pass
        os.write(1, b"daemon\\n")
        os.write(tell, b".")
        while True:
            signal.pause()
    os._exit(0)
os.wait()
os.read(ready, 1)
"""

# 300 processes that each replace themselves by a fork again and again, some in a new session.
BOMB = """
import os, signal, time
waiting, go = os.pipe()
for number in range(300):
    if os.fork() == 0:
        os.close(go)
        os.read(waiting, 1)
        end = time.monotonic() + 60
        while time.monotonic() < end:
            os.write(1, b".")
            if os.fork():
                os._exit(0)
            if number % 3 == 0:
                os.setsid()
        os._exit(0)
os.close(go)
"""


class Running:
    """A process with its output pipe, and its input at end of file."""

    def __init__(self, spawner: Spawner, argv: list[str], **options: Any) -> None:
        self.output, writing = os.pipe()
        silence = os.open(os.devnull, os.O_RDONLY)
        defaults: dict[str, Any] = {"env": {}, "cwd": "/", "executable": argv[0]}
        try:
            self.process: Process = spawner.spawn(
                argv=argv,
                stdin=silence,
                stdout=writing,
                **{"stderr": writing, **defaults, **options},
            )
        except BaseException:
            os.close(self.output)
            raise
        finally:
            os.close(writing)
            os.close(silence)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
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
        while select.select([self.output], [], [], 0)[0]:
            if not os.read(self.output, 65536):
                return
        pytest.fail("a descendant still holds the output pipe")


def readable(descriptor: int, seconds: float = DEADLINE) -> bool:
    return bool(select.select([descriptor], [], [], seconds)[0])


def await_end(pid: int) -> None:
    """Wait for the end of a process that is not our child."""
    with contextlib.suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            assert readable(descriptor), f"{pid} is still alive"
        finally:
            os.close(descriptor)


def run(spawner: Spawner, argv: list[str], **options: Any) -> tuple[bytes, Exit]:
    with Running(spawner, argv, **options) as running:
        return running.read_all(), running.ended()


def open_descriptors(pid: int | str | None = "self") -> int:
    return len(list(Path(f"/proc/{pid}/fd").iterdir()))
