"""Waking a poll loop when a child process ends or stops. Runs in the spawner: standard library only."""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import os
import signal


def wakeup_descriptor() -> int:
    """Return a descriptor that becomes readable whenever a child ends or stops."""
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading
