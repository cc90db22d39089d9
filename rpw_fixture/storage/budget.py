"""The bytes that the stores may keep: as configured, but within this machine's memory limit."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import NamedTuple, Self

from rpw_fixture.support.memory_limit import is_in_memory, memory_limit

#: 1/4 of the memory limit is for blobs in memory; actions, workers and the server need the rest.
_MEMORY_PART = 4
#: 1/2 of it is for all blobs when their files are on a RAM disk, and so take memory too.
_RAM_DISK_PART = 2
#: Action results may take 1/16 of the memory that blobs may take, but never less than 4 MiB: they are
#: small, and without them everything runs again.
_RESULTS_PART, _LEAST_RESULTS = 16, 4 << 20
_log = logging.getLogger(__name__)


class Budget(NamedTuple):
    """The limits of a CAS, and of the action cache beside it.

    Attributes:
        memory_bytes: most bytes in memory.
        max_bytes: most bytes in total.
    """

    memory_bytes: int
    max_bytes: int

    @property
    def results_bytes(self) -> int:
        """Most bytes of action results in memory."""
        return max(_LEAST_RESULTS, self.memory_bytes // _RESULTS_PART)

    @classmethod
    def within_limit(
        cls, *, memory_bytes: int, max_bytes: int, folder: Path, limit: int | None = None
    ) -> Self:
        """Return the budget of a CAS.

        Args:
            memory_bytes, max_bytes: from the configuration.
            folder: of the CAS's files.
            limit: memory limit of this process, bytes; None for that of its control group.
        """
        limit = memory_limit() if limit is None else limit
        memory, most = memory_bytes, max_bytes
        if limit is not None:
            memory = min(memory, limit // _MEMORY_PART)
            if most > limit // _RAM_DISK_PART and is_in_memory(folder):
                most = max(1, limit // _RAM_DISK_PART)
        if (memory, most) != (memory_bytes, max_bytes):
            _log.info(
                "the control group allows %d bytes of memory, so the CAS keeps at most %d bytes in "
                "memory and %d bytes in total",
                limit,
                memory,
                most,
            )
        return cls(memory_bytes=memory, max_bytes=most)
