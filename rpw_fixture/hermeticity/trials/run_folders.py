"""The folders in which trials run on this machine."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class RunFolders:
    """Folders of which each is for one trial at a time. Thread-safe but for `keep_one` and `use_all`.

    Args:
        parent: the folder in which they are made by the trials.
        count: their number.
        name: what their names begin with.
    """

    def __init__(self, parent: Path, count: int, *, name: str = "run") -> None:
        self._free: queue.SimpleQueue[Path] = queue.SimpleQueue()
        self._unused: list[Path] = []
        self._count = count
        for number in range(count):
            self._free.put(parent / f"{name}-{number:02}")

    @property
    def count(self) -> int:
        """The number of trials that can run at once."""
        return self._count - len(self._unused)

    @contextmanager
    def taken(self) -> Iterator[Path]:
        """Wait for a folder, which no other trial gets before the end of the block."""
        folder = self._free.get()
        try:
            yield folder
        finally:
            self._free.put(folder)

    def keep_one(self) -> None:
        """Wait for all trials; later ones run in the first folder only."""
        first, *others = sorted(self._free.get() for _ in range(self.count))
        self._free.put(first)
        self._unused += others

    def use_all(self) -> None:
        """Let later trials run in all folders again."""
        while self._unused:
            self._free.put(self._unused.pop())
