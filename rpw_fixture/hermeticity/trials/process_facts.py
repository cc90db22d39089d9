"""What is known about a worker's processes: names, memory, descriptors, CPU time.

On Linux it is read from ``/proc`` with the standard library alone, because a trial may run on a machine
that has no psutil; elsewhere psutil reads it.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rpw_fixture.processes import process_tree

if TYPE_CHECKING:
    import psutil

#: Linux cuts the name of a process to this many bytes.
_LONGEST_NAME = 15
#: States in which a process uses a processor, or soon will: running, and waiting for a disk.
_BUSY, _ZOMBIE = frozenset((b"R", b"D")), "Z"
#: Places of fields in /proc/PID/stat after the name (proc_pid_stat(5)).
_STATE, _USER, _SYSTEM, _THREADS = 0, 11, 12, 17


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessFacts:
    """One process at one moment.

    Attributes:
        name: name of its program.
        is_zombie: it has ended, and its parent does not know yet.
        cpu_seconds: processor time used so far.
        threads: number of its threads.
    """

    pid: int
    name: str
    is_zombie: bool
    cpu_seconds: float
    threads: int


def family(pid: int) -> list[ProcessFacts]:
    """Return a process and those below it, without those that are gone."""
    found: list[ProcessFacts] = []
    waiting = [pid]
    while waiting:
        each = waiting.pop()
        with contextlib.suppress(OSError):
            found.append(_facts(each))
            waiting += process_tree.children(each)
    return found


def command_line(pid: int) -> str:
    """Return the command line of a process, its words joined by spaces; "" if it is gone."""
    try:
        if sys.platform != "linux":
            with _observed(pid) as process:
                return " ".join(process.cmdline())
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return " ".join(os.fsdecode(file.read()).rstrip("\0").split("\0"))
    except OSError:
        return ""


def is_busy(pid: int) -> bool:
    """Return whether a thread of a process runs, or would if it got a processor, or waits for a disk.

    The first thread of a JVM sleeps while another one starts the program. A process that has ended
    counts as busy: it was a moment ago.
    """
    try:
        if sys.platform != "linux":
            with _observed(pid) as process:
                return process.status() in {"running", "disk-sleep"}
        threads = f"/proc/{pid}/task"
        return any(_state(f"{threads}/{each}/stat") in _BUSY for each in os.listdir(threads))
    except OSError:
        return True


def _state(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read().rpartition(b")")[2].split()[0]  # the name before may contain anything


def memory(pid: int) -> int:
    """Return the resident memory of a process, bytes.

    Raises:
        OSError: it is gone, or can't be observed.
    """
    if sys.platform != "linux":
        with _observed(pid) as process:
            return int(process.memory_info().rss)
    with open(f"/proc/{pid}/statm", "rb") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    """Return the number of open descriptors of a process. Raises what `memory` raises."""
    if sys.platform != "linux":
        with _observed(pid) as process:
            return int(process.num_fds())
    return len(os.listdir(f"/proc/{pid}/fd"))


def _facts(pid: int) -> ProcessFacts:
    if sys.platform != "linux":
        return _facts_by_psutil(pid)
    with open(f"/proc/{pid}/stat", "rb") as file:
        before, _, after = file.read().rpartition(b")")
    fields = after.decode().split()
    return ProcessFacts(
        pid=pid,
        name=_whole_name(pid, os.fsdecode(before.partition(b"(")[2])),
        is_zombie=fields[_STATE] == _ZOMBIE,
        cpu_seconds=(int(fields[_USER]) + int(fields[_SYSTEM])) / os.sysconf("SC_CLK_TCK"),
        threads=int(fields[_THREADS]),
    )


def _whole_name(pid: int, name: str) -> str:
    """Return a name that was cut as the command line has it."""
    if len(os.fsencode(name)) < _LONGEST_NAME:
        return name
    with contextlib.suppress(OSError), open(f"/proc/{pid}/cmdline", "rb") as file:
        program = os.path.basename(os.fsdecode(file.read().partition(b"\0")[0]))
        return program if program.startswith(name) else name
    return name


def _facts_by_psutil(pid: int) -> ProcessFacts:
    with _observed(pid) as process:
        times, state = process.cpu_times(), process.status()
        return ProcessFacts(
            pid=pid,
            name=process.name(),
            is_zombie=state == "zombie",
            cpu_seconds=times.user + times.system,
            threads=process.num_threads(),
        )


@contextlib.contextmanager
def _observed(pid: int) -> Iterator[psutil.Process]:
    """Give a process to the block, whose errors become OSError."""
    try:
        import psutil  # noqa: PLC0415 - slow to load, and not needed on Linux
    except ImportError as error:
        raise OSError(f"processes can't be observed: {error}") from None
    try:
        yield psutil.Process(pid)
    except psutil.Error as error:
        raise OSError(str(error)) from None
