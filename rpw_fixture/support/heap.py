"""The heap of the C library, as far as glibc lets a process control it; elsewhere nothing happens."""

from __future__ import annotations

import sys
from typing import Any

_M_ARENA_MAX = -8


def trim() -> None:
    """Return free memory to the system."""
    _call("malloc_trim", 0)


def share_arenas() -> None:
    """Make no more arenas: threads from now on share those that are there.

    By default there are up to eight for each processor. Each keeps the memory that its threads have freed,
    in pieces too small to be returned. A server's threads run one at a time, so that they hardly wait for
    each other's arena.
    """
    _call("mallopt", _M_ARENA_MAX, 1)


def _call(name: str, *arguments: int) -> None:
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - takes milliseconds

    function: Any = getattr(ctypes.CDLL(None), name, None)
    if function is not None:
        function(*arguments)
