"""How many bytes the CAS may keep: as configured, and no more than this machine's limits allow."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from rpw_fixture.support.memory_limit import is_in_memory, memory_limit

#: The part of the memory limit for blobs in memory; actions, workers and the server need the rest.
_MEMORY_PART = 4
#: The part of it for all blobs, where their files take memory too, because they are on a RAM disk.
_RAM_DISK_PART = 2
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a CAS may keep.

    Attributes:
        memory_bytes: in memory.
        max_bytes: in all.
    """

    memory_bytes: int
    max_bytes: int

    @classmethod
    def within_limit(
        cls, *, memory_bytes: int, max_bytes: int, folder: Path, limit: int | None = None
    ) -> Self:
        """Make the budget of a CAS.

        Args:
            memory_bytes, max_bytes: what the configuration asks for.
            folder: of the CAS's files.
            limit: of this process's memory, bytes; that of its control group when not given.
        """
        limit = memory_limit() if limit is None else limit
        memory, most = memory_bytes, max_bytes
        if limit is not None:
            memory = min(memory, limit // _MEMORY_PART)
            if most > limit // _RAM_DISK_PART and is_in_memory(folder):
                most = max(1, limit // _RAM_DISK_PART)
        if (memory, most) != (memory_bytes, max_bytes):
            _log.info(
                "the control group allows %d bytes of memory: the CAS keeps %d bytes in memory and "
                "%d in all",
                limit,
                memory,
                most,
            )
        return cls(memory_bytes=memory, max_bytes=most)
