"""What a worker does with the files of a request after its response: reads, writes, open descriptors."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Collection

from rpw_fixture.hermeticity.trials.process_facts import family
from rpw_fixture.hermeticity.trials.read_watch import ReadWatch
from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.inotify import Inotify

#: Seconds after the response: what is open then was not just about to be closed.
LATE = 0.15
_DELETED = " (deleted)"


def why_unavailable() -> str:
    """Return why late reads and open files can't be seen on this machine; empty if they can."""
    try:
        Inotify().close()
    except OSError as error:
        return f"reads can't be watched: {error}"
    return "" if os.path.isdir("/proc/self/fd") else "there is no /proc/PID/fd"


class LateAccess(Closeable):
    """A watch on the inputs of one request, until it is closed.

    Args:
        run_folder: the folders of the trial.
        inputs: paths of the inputs, without those of the tool.

    Raises:
        OSError: this machine does not show reads; see `why_unavailable`.
    """

    def __init__(self, run_folder: RunFolder, inputs: Collection[str]) -> None:
        self._root = os.path.realpath(run_folder.root)
        self._inputs = frozenset(inputs)
        self._watch = ReadWatch(run_folder.input_root, inputs, with_reads=True)

    def close(self) -> None:
        """Stop watching."""
        self._watch.close()

    def begin(self) -> None:
        """Forget all reads until now: the response is there."""
        self._watch.forget()

    def wait(self) -> tuple[str, ...]:
        """Wait for a moment; return the inputs that were read since `begin`."""
        time.sleep(LATE)
        return tuple(sorted(self._watch.opened()))

    def still_open(self, pid: int, outputs: Collection[str]) -> tuple[str, ...]:
        """Return the inputs and outputs that a worker, or a process below it, has open."""
        found = {
            os.path.relpath(path, self._root)
            for each in family(pid)
            for path in _open_files(each.pid)
            if path.startswith(f"{self._root}/")
        }
        return tuple(sorted(found & (self._inputs | frozenset(outputs))))


def _open_files(pid: int) -> list[str]:
    folder = f"/proc/{pid}/fd"
    found = []
    with contextlib.suppress(OSError):
        for name in os.listdir(folder):
            with contextlib.suppress(OSError):
                found.append(os.readlink(f"{folder}/{name}").removesuffix(_DELETED))
    return found
