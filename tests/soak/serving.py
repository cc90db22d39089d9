"""A server in a separate process, and blobs to upload and download.

RPW_FIXTURE_LONG=1 asks for the long form of these tests.
"""

from __future__ import annotations

import os
import random
import re
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture.wire.digests import SHA256, Digest
from tests.server_process import ServerProcess

LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"
MIB = 1 << 20


class ServeProcess(ServerProcess):
    """A server whose stderr goes to the end of ``log``, and the memory it takes."""

    def __init__(self, log: Path, *flags: str) -> None:
        with log.open("ab") as stderr:
            super().__init__(*flags, stderr=stderr)

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
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def _memory(self, name: str) -> int:
        status = Path(f"/proc/{self.pid}/status").read_text()
        found = re.search(rf"{name}:\s+(\d+) kB", status)
        assert found is not None
        return int(found[1]) * 1024


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
