"""Whole process trees: finding, marking, freezing and killing them.

Supervisors use it for their trees, and the server for the trees of a spawner and supervisors that were
killed. All functions are stateless, over ``/proc`` and signals, with the standard library only (the
spawner runs without site-packages); nothing here starts a process or waits for one.

The mark is the soft limit ``RLIMIT_RTTIME``. Every descendant inherits it over fork, exec and setsid, any
process may read it, and at more than 30,000 years of CPU time it never takes effect. A process can change
its mark, so the mark is only the last resort: a supervisor is the subreaper of its process tree, and so
knows all processes that belong to it.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import os
import resource
import signal
import sys
import time

TYPE_CHECKING = False  # typing takes longer to import than the rest of the spawner
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_FREEZE_PASSES = 32
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def new_mark() -> int:
    """Return a mark that no other spawner on this machine uses."""
    return (1 << 60) | int.from_bytes(os.urandom(7), "little")


def become_subreaper() -> None:
    """Become the parent of orphaned descendants (Linux; do nothing elsewhere)."""
    if sys.platform != "linux":
        return
    import ctypes  # noqa: PLC0415 - the server imports this module too and needs no ctypes

    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"prctl(PR_SET_CHILD_SUBREAPER): {os.strerror(code)}")


def can_mark() -> bool:
    """Return whether marks can be set."""
    if sys.platform != "linux":
        return False
    return resource.getrlimit(resource.RLIMIT_RTTIME)[1] == resource.RLIM_INFINITY


def mark_self(mark: int) -> None:
    """Mark this process and those that it starts from now on with ``mark``, if `can_mark`."""
    if sys.platform == "linux" and can_mark():
        resource.setrlimit(resource.RLIMIT_RTTIME, (mark, resource.RLIM_INFINITY))


def mark_of(pid: int) -> int | None:
    """Return the mark of ``pid``, None for a process without one or one that is gone."""
    if sys.platform != "linux":
        return None
    try:
        soft = resource.prlimit(pid, resource.RLIMIT_RTTIME)[0]
    except PermissionError:  # a set-uid program: the file is readable where the call is not
        soft = _published_limit(pid)
    except OSError:
        return None
    return soft if soft >= 1 << 60 else None


def _published_limit(pid: int) -> int:
    for line in _read(f"/proc/{pid}/limits").splitlines():
        if line.startswith(b"Max realtime timeout"):
            soft = line.split()[3]
            return int(soft) if soft.isdigit() else -1
    return -1


def children(pid: int) -> list[int]:
    """Return the direct children of ``pid``, unreaped ones included; empty once it is gone.

    On systems other than Linux it is always empty: there only the process group identifies a tree.
    """
    if sys.platform != "linux":
        return []
    try:
        threads = os.listdir(f"/proc/{pid}/task")  # any thread may have forked
        return [child for thread in threads for child in _thread_children(pid, thread)]
    except _NoChildrenFileError:
        return [child for child in _all_pids() if _parent_of(child) == pid]
    except OSError:
        return []


class _NoChildrenFileError(Exception):
    """A kernel that was built without CONFIG_PROC_CHILDREN."""


def _thread_children(pid: int, thread: str) -> list[int]:
    path = f"/proc/{pid}/task/{thread}/children"
    try:
        with open(path, "rb", buffering=0) as file:
            return [int(child) for child in file.readall().split()]
    except FileNotFoundError:
        # Looked at only now, because a process may have a thousand threads.
        if os.path.exists(f"/proc/{pid}/task/{thread}"):
            raise _NoChildrenFileError from None
    except OSError:
        pass
    return []


def freeze(find_roots: Callable[[], Iterable[int]], frozen: set[int]) -> None:
    """Stop the roots and everything below them; add the pids that took the signal to ``frozen``.

    A process is stopped before its children are read, so that it can't fork meanwhile. Passes are
    repeated until one finds no new process, because an orphan changes its place in the tree during a
    pass. ``find_roots`` is called again for each pass. Only the caller can reap a frozen process, so no
    id in ``frozen`` can be reused while the caller keeps it there.
    """
    for _ in range(_FREEZE_PASSES):
        if not _freeze_pass(find_roots(), frozen):
            return


def _freeze_pass(roots: Iterable[int], frozen: set[int]) -> bool:
    # Level by level: signals are much faster than reading /proc, and stopped processes no longer
    # compete with this process for the CPU.
    level, groups, progress = set(roots), set[int](), False
    walked: set[int] = set()
    while level:
        for pid in level - frozen:
            if _freeze_one(pid, groups):
                frozen.add(pid)
                progress = True
        walked |= level
        level = {child for pid in level & frozen for child in children(pid)} - walked
    return progress


def _freeze_one(pid: int, groups: set[int]) -> bool:
    # Stopping the whole group in one call stops a fork bomb between two of its forks. All groups of
    # a session belong to the tree, because its leader was started in a new session.
    try:
        group = os.getpgid(pid)
    except OSError:
        return False
    # 0: the group is outside this pid namespace, and the call would signal this process
    if group > 1 and group not in groups and group != os.getpgrp():
        groups.add(group)
        send_group(group, signal.SIGSTOP)
    return send(pid, signal.SIGSTOP)


def send(pid: int, number: int) -> bool:
    """Send signal ``number``; return False if the process is gone or may not be signalled."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def send_group(leader: int, number: int) -> bool:
    """Send signal ``number`` to the process group of ``leader``; return False if it is gone."""
    try:
        os.killpg(leader, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def purge(mark: int, *, timeout: float) -> int:
    """Kill every process that has ``mark``.

    It is for processes that another process reaps: dead ones count as gone, zombies included.
    Return the number still alive after ``timeout`` seconds, normally 0.
    """
    deadline = time.monotonic() + timeout
    while True:
        frozen: set[int] = set()
        freeze(lambda: _marked(mark), frozen)
        for pid in frozen:
            send(pid, signal.SIGKILL)
        alive = _marked(mark)
        if not alive or time.monotonic() > deadline:
            return len(alive)
        time.sleep(0.002)


def wake(mark: int) -> None:
    """Continue every stopped process that has ``mark``."""
    for pid in _marked(mark):
        if is_stopped(pid):
            send(pid, signal.SIGCONT)


def _marked(mark: int) -> list[int]:
    return [pid for pid in _all_pids() if mark_of(pid) == mark and is_alive(pid)]


def is_stopped(pid: int) -> bool:
    """Return whether a signal or a debugger has stopped ``pid`` (Linux; elsewhere False)."""
    return _stat(pid)[:1] in ([b"T"], [b"t"])


def is_alive(pid: int) -> bool:
    """Return whether ``pid`` can still run; a zombie can't (Linux)."""
    fields = _stat(pid)
    return bool(fields) and fields[0] not in {b"Z", b"X"}


def _parent_of(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[bytes]:
    """Return the fields of /proc/PID/stat from the state on; the name before may hold anything."""
    return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()


def _all_pids() -> list[int]:
    if sys.platform != "linux":
        return []
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.readall()
    except OSError:
        return b""
