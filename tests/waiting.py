"""Waiting for what nobody tells: a file that appears, a process that is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Nothing is decided by how long things take; this only ends a test that hangs.
PATIENCE = 60.0


def until(is_it: Callable[[], object], what: str = "it did not come to that in time") -> None:
    """Looks again and again until it is so.

    Args:
        is_it: whether it is; anything true counts.
        what: was waited for, for the message of the test that fails.
    """
    deadline = time.monotonic() + PATIENCE
    while not is_it():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
