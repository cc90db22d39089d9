"""A process that the spawner did not start, but kills when the server dies.

The subcommand ``run`` starts its command itself, because the spawner has left the terminal's session.
Runs in the spawner, with the standard library only.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import os
import select
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from rpw_fixture.processes import process_tree
else:
    import process_tree


class GuardedProcess:
    """A process, and what it started in the same session.

    Other sessions are left alone: a build tool's daemon outlives each of its commands.

    Args:
        pid: of a process that is not reaped yet; if it is gone, nothing happens.
    """

    def __init__(self, pid: int) -> None:
        self._pid = pid
        try:
            self._descriptor = os.pidfd_open(pid)
        except (AttributeError, OSError):
            self._descriptor = -1

    def kill(self) -> None:
        """Kill all of them, unless the process has ended."""
        if self._descriptor < 0 or select.select([self._descriptor], (), (), 0)[0]:
            return
        try:
            session = os.getsid(self._pid)
        except OSError:
            return
        stopped = [self._pid]
        for pid in stopped:  # it grows: a stopped process can't fork, so its children are all there
            process_tree.send(pid, signal.SIGSTOP)
            stopped += [child for child in process_tree.children(pid) if _session(child) == session]
        for pid in stopped:
            process_tree.send(pid, signal.SIGKILL)

    def release(self) -> None:
        """Forget the process."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except OSError:
        return -1
