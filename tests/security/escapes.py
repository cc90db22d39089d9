"""Processes that try to outlive what started them, in every combination of ways.

Each holds a lock on a separate file in a folder of the test. Whatever else the process changes, the lock is
free only after its end.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import signal
import sys
import time
from pathlib import Path

WAYS = ("double-fork", "setsid", "limits", "no-environment", "closed")
#: Every combination of them, and a process whose parent is the parent of the one that made it.
NAMES = tuple(
    "+".join(chosen) or "plain"
    for count in range(len(WAYS) + 1)
    for chosen in itertools.combinations(WAYS, count)
) + (("clone-parent",) if os.uname().machine in {"x86_64", "aarch64"} else ())

#: Runs a program text.
INTERPRETER = (sys.executable, "-I", "-S", "-c")
#: Takes a lock, and ignores every signal that can be ignored. Its argument is the file.
_HOLD = """
import fcntl, os, signal, sys
lock = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(lock, fcntl.LOCK_EX)
os.write(lock, b"%d" % os.getpid())
for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
    try:
        signal.signal(number, signal.SIG_IGN)
    except OSError:
        pass
signal.pthread_sigmask(signal.SIG_SETMASK, ())
while True:
    signal.pause()
"""
#: Defines ``escape_all``; runs in a Python without site-packages as well.
_PROGRAM = """
import ctypes, os, resource, sys

def hold(name):
    ways = name.split("+")
    if "setsid" in ways:
        os.setsid()
    if "limits" in ways:
        hard = resource.getrlimit(resource.RLIMIT_RTTIME)[1]
        resource.setrlimit(resource.RLIMIT_RTTIME, (10**12, hard))
    if "closed" in ways:
        os.closerange(0, 1 << 16)
    environment = {} if "no-environment" in ways else dict(os.environ)
    argv = [sys.executable, "-I", "-S", "-c", HOLD, os.path.join(FOLDER, name)]
    os.execve(sys.executable, argv, environment)

def escape(name):
    if name == "clone-parent":
        number = {"x86_64": 56, "aarch64": 220}[os.uname().machine]
        pid = ctypes.CDLL(None).syscall(number, 0x8000 | 17, 0, 0, 0, 0)
    else:
        pid = os.fork()
    if pid == 0:
        try:
            if "double-fork" not in name or os.fork() == 0:
                hold(name)
        finally:
            os._exit(1)
    elif "double-fork" in name:
        os.waitpid(pid, 0)

def escape_all():
    for name in NAMES:
        escape(name)
"""
ACTION = """
escape_all()
print(os.getpid(), file=open(os.path.join(FOLDER, "pid.part"), "w"))
os.rename(os.path.join(FOLDER, "pid.part"), os.path.join(FOLDER, "pid"))
os.close(os.open(os.path.join(FOLDER, "gate"), os.O_RDONLY))
"""
WORKER = """
import rpw_worker

def handle(request):
    if not os.path.exists(os.path.join(FOLDER, "pid")):
        escape_all()
        print(os.getpid(), file=open(os.path.join(FOLDER, "pid.part"), "w"))
        os.rename(os.path.join(FOLDER, "pid.part"), os.path.join(FOLDER, "pid"))
    return rpw_worker.WorkResponse()

sys.exit(rpw_worker.main(handle))
"""


def program(folder: Path, then: str) -> str:
    """Return the source of what starts all of them and goes on with ``then``."""
    constants = f"HOLD, FOLDER, NAMES = {_HOLD!r}, {str(folder)!r}, {NAMES!r}\n"
    return constants + _PROGRAM + then


def alive(folder: Path) -> set[str]:
    """Name those that hold their locks."""
    return {name for name in NAMES if _is_locked(folder / name)}


def survivors(folder: Path, patience: float) -> set[str]:
    """Return the names of those that remain after some seconds; return at once when there are none."""
    deadline = time.monotonic() + patience
    while (left := alive(folder)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return left


def kill_survivors(folder: Path) -> None:
    """Clean up after a test that failed."""
    for name in alive(folder):
        with contextlib.suppress(ProcessLookupError, ValueError):
            os.kill(int((folder / name).read_text()), signal.SIGKILL)


def _is_locked(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
