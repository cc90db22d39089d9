"""A thread of the server that checks whether the spawner still runs.

A stopped spawner (SIGSTOP, a debugger) looks like an idle one, but no program starts, no timeout is
enforced and no end is reported. So it is killed: its supervisors then kill their programs, and the next
start replaces it. A spawner that was killed is noticed by each thread that waits for one of its processes,
and here too, because there may be no such thread.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from enum import Enum, auto

from rpw_fixture.processes import process_tree

_INTERVAL = 0.5  # seconds between two checks
_MOST_STOPPED = 5  # checks; fewer are not enough, because a tracer stops a process for moments


class SpawnerWatch:
    """A thread that checks one spawner until `stop`.

    Args:
        pid: process id of the spawner. It must not be reaped before `stop`.
        on_death: called in the thread when the spawner was killed; calls `stop`.
    """

    def __init__(self, pid: int, on_death: Callable[[], object]) -> None:
        self._pid = pid
        self._on_death = on_death
        self._is_over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rpw-spawner-watch", daemon=True)

    def start(self) -> None:
        """Start the thread.

        Raises:
            RuntimeError: the system has no thread left.
        """
        self._thread.start()

    def stop(self) -> None:
        """End the checks, without waiting for the thread."""
        self._is_over.set()

    def join(self) -> None:
        """Wait for the end of the thread, if it was started and is not the calling one."""
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        stopped = 0
        while not self._is_over.wait(_INTERVAL):
            state = _state(self._pid)
            if self._is_over.is_set():
                return
            if state is _State.DEAD:
                self._on_death()
            stopped = stopped + 1 if state is _State.STOPPED else 0
            if stopped >= _MOST_STOPPED:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)


class _State(Enum):
    RUNNING = auto()
    STOPPED = auto()
    DEAD = auto()


def _state(pid: int) -> _State:
    if sys.platform != "linux":
        return _reported_state(pid)
    if process_tree.is_stopped(pid):
        return _State.STOPPED
    return _State.RUNNING if process_tree.is_alive(pid) else _State.DEAD


def _reported_state(pid: int) -> _State:
    import psutil  # noqa: PLC0415 - slow to load, and not needed on Linux

    try:
        status = psutil.Process(pid).status()
    except psutil.Error:
        return _State.DEAD
    known = {psutil.STATUS_STOPPED: _State.STOPPED, psutil.STATUS_ZOMBIE: _State.DEAD}
    return known.get(status, _State.RUNNING)
