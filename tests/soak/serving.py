"""A server in a process of its own, and blobs to move to and fro.

RPW_FIXTURE_LONG=1 asks for the long form of these tests.
"""

from __future__ import annotations

import json
import os
import random
import re as regex
import selectors
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from rpw_fixture.execution import workspace
from rpw_fixture.execution.removal import remove
from rpw_fixture.wire.digests import SHA256, Digest
from rpw_fixture.wire.protos import remote_execution as re

LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"
MIB = 1 << 20
_READY = "RPW_READY "
_PATIENCE = 60.0


class ServeProcess:
    """``python -m rpw_fixture serve`` with further flags; killed at the end if it still runs."""

    def __init__(self, log: Path, *flags: str) -> None:
        command = [sys.executable, "-m", "rpw_fixture", "serve", "--listen", "127.0.0.1:0", *flags]
        with log.open("ab") as stderr:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=stderr
            )
        try:
            self.address = self._ready()
        except BaseException:
            self.kill()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.kill()

    def kill(self) -> None:
        """SIGKILL, at whatever moment this is; what its folder held goes too."""
        self._process.kill()
        self._process.wait()
        for folder in Path(workspace.base()).glob(f"rpw_fixture-{self._process.pid}-*"):
            remove(str(folder))
        assert self._process.stdout is not None
        self._process.stdout.close()

    @property
    def resident(self) -> int:
        """Bytes of memory it holds."""
        return self._memory("VmRSS")

    @property
    def highest_resident(self) -> int:
        """Most bytes of memory it held since `forget_highest_resident`."""
        return self._memory("VmHWM")

    def forget_highest_resident(self) -> None:
        """Has the kernel measure the peak from now on (proc_pid_clear_refs)."""
        Path(f"/proc/{self._process.pid}/clear_refs").write_text("5")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        found = regex.search(rf"{name}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024

    def _ready(self) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(_PATIENCE), "the server did not start"
        line = self._process.stdout.readline().decode()
        ready: dict[str, Any] = json.loads(line.removeprefix(_READY))
        return str(ready["endpoint"]).partition("://")[2]


def pieces(seed: int, size: int, piece: int = MIB) -> Iterator[bytes]:
    """Content that compresses badly and of which no piece equals another, without storing it."""
    block = random.Random(seed).randbytes(piece)
    for start in range(0, size, piece):
        marked = start.to_bytes(8, "big") + block[8:]
        yield marked[: size - start]


def digest_of(content: Iterator[bytes]) -> Digest:
    """The digest of a stream."""
    hasher, size = SHA256.new(), 0
    for piece in content:
        hasher.update(piece)
        size += len(piece)
    return Digest(hasher.hexdigest(), size)


def message(digest: Digest) -> re.Digest:
    return re.Digest(hash=digest.hash, size_bytes=digest.size)
