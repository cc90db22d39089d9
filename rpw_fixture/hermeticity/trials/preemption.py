"""Stopping a worker at the very system call that is waited for (Linux).

A request may take less time than it takes to notice that it has begun. So the worker and the waiting
thread share one processor, and the thread has the higher priority: when the kernel wakes it, the worker
stands still until it waits again. Without the right to a higher priority, that is only likely.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def preempting(pid: int) -> Iterator[None]:
    """Let the calling thread stop a process whenever it wakes, within the block.

    The process stays on one processor: it is about to be killed.
    """
    if sys.platform != "linux":
        yield
        return
    usual, policy = os.sched_getaffinity(0), os.sched_getscheduler(0)
    shared = {max(usual)}
    with contextlib.ExitStack() as undo:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, shared)
            undo.callback(os.sched_setaffinity, 0, usual)
            for thread in map(int, os.listdir(f"/proc/{pid}/task")):
                os.sched_setaffinity(thread, shared)
            os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
            undo.callback(os.sched_setscheduler, 0, policy, os.sched_param(0))
        yield
