"""Waits for conditions that no event announces: a file appears, a process is gone."""

from __future__ import annotations

import time
from collections.abc import Callable

#: Seconds after which a test that hangs fails. No test depends on how long things take.
PATIENCE = 60.0


def until(
    is_it: Callable[[], object], what: str = "the condition did not become true in time"
) -> None:
    """Call ``is_it`` repeatedly until it returns something true; fail after `PATIENCE`.

    Args:
        is_it: the condition.
        what: the message if the condition does not become true.
    """
    deadline = time.monotonic() + PATIENCE
    while not is_it():
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
