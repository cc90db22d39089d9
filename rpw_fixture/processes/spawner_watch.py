"""A thread of the server that looks whether the spawner still runs.

A spawner that is killed is noticed at once, its socket ends. One that is stopped (SIGSTOP, a debugger)
looks like one that has nothing to say, while no program starts, no timeout is kept and no end is reported.
Such a one is killed: its supervisors then kill what it was responsible for, and the next start replaces it.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading

from rpw_fixture.processes import process_tree

_INTERVAL = 1.0  # seconds between two looks
_LOOKS = 2  # a process may be stopped for a moment for many reasons


class SpawnerWatch:
    """Looks at one spawner until `stop`.

    Args:
        pid: of the spawner. It must not be reaped before `stop`.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rpw-spawner-watch", daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            RuntimeError: the system has no thread left.
        """
        self._thread.start()

    def stop(self) -> None:
        """End the thread; the first call does, and it may never have begun."""
        self._is_over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        stopped = 0
        while not self._is_over.wait(_INTERVAL):
            stopped = stopped + 1 if _is_stopped(self._pid) else 0
            if stopped >= _LOOKS:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)


def _is_stopped(pid: int) -> bool:
    if sys.platform != "linux":
        return _is_reported_stopped(pid)
    return process_tree.is_stopped(pid)


def _is_reported_stopped(pid: int) -> bool:
    import psutil  # noqa: PLC0415 - slow to load, and not needed on Linux

    try:
        return bool(psutil.Process(pid).status() == psutil.STATUS_STOPPED)
    except psutil.Error:
        return False
