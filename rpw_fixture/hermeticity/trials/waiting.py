"""What a worker that does not answer waits for: read from /proc, in words. Linux only."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from rpw_fixture.processes import process_tree

#: Names of the standard streams by descriptor.
_STREAMS = {0: "stdin", 1: "stdout", 2: "stderr"}
#: System calls whose first argument is a descriptor: numbers of x86-64 and of the generic table (arm64).
_ON_DESCRIPTOR = {
    "x86_64": {
        0: "read",
        1: "write",
        19: "read",
        20: "write",
        232: "epoll_wait",
        281: "epoll_wait",
    },
    "aarch64": {63: "read", 64: "write", 65: "read", 66: "write", 22: "epoll_wait"},
}
#: Other system calls that a thread can wait in for long.
_WAITS = {
    "x86_64": {
        **dict.fromkeys((7, 23, 270, 271), "poll"),
        **dict.fromkeys((61, 247), "waiting for a child process"),
        **dict.fromkeys((35, 230), "sleeping"),
        **dict.fromkeys((34, 130), "waiting for a signal"),
        202: "waiting for a lock or another thread",
    },
    "aarch64": {
        **dict.fromkeys((72, 73), "poll"),
        **dict.fromkeys((95, 260), "waiting for a child process"),
        **dict.fromkeys((101, 115), "sleeping"),
        98: "waiting for a lock or another thread",
    },
}
_SHOWN = 5


def describe(pid: int, pipes: Mapping[str, int] = MappingProxyType({})) -> str:
    """Return what the threads of a process wait for, and its children; "" if that is not known.

    Args:
        pid: the process.
        pipes: our ends of pipes to the process by name, such as ``stdin``; it may have moved its ends
            to other descriptors.
    """
    if sys.platform != "linux":
        return ""
    lines = []
    names = {_link(f"/proc/self/fd/{fd}"): name for name, fd in pipes.items()}
    waits = Counter(_threads(pid, names))
    shown = waits.most_common(_SHOWN)
    texts = [f"{text} ({count} threads)" if count > 1 else text for text, count in shown]
    if len(waits) > _SHOWN:
        texts.append(f"and {len(waits) - _SHOWN} more states")
    if texts:
        lines.append(f"its threads: {'; '.join(texts)}")
    children = [_name(each) for each in process_tree.children(pid)]
    if children:
        lines.append(f"its child processes: {', '.join(children)}")
    return "\n".join(lines)


def _threads(pid: int, names: Mapping[str, str]) -> Iterator[str]:
    """Yield what each thread does."""
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return
    for thread in threads:
        folder = f"/proc/{pid}/task/{thread}"
        state = _read(f"{folder}/stat").rpartition(")")[2].split()
        if not state:
            continue
        if state[0] == "R":
            yield "running"
        elif state[0] in "TtZX":
            yield {"T": "stopped", "t": "stopped", "Z": "ended", "X": "ended"}[state[0]]
        else:
            yield _call(folder, pid, names) or _channel(folder) or "waiting"


def _call(folder: str, pid: int, names: Mapping[str, str]) -> str:
    """Return the system call that a thread is in; "" if that is not known."""
    words = _read(f"{folder}/syscall").split()
    if len(words) < 2 or not words[0].isdigit():
        return ""
    machine, number = os.uname().machine, int(words[0])
    name = _ON_DESCRIPTOR.get(machine, {}).get(number)
    if name == "epoll_wait":
        return "waiting for events"
    if name is not None:
        fd = int(words[1], 16)
        way = "reading from" if name == "read" else "writing to"
        target = _link(f"/proc/{pid}/fd/{fd}")
        return f"{way} {names.get(target) or _STREAMS.get(fd) or target or f'descriptor {fd}'}"
    return _WAITS.get(machine, {}).get(number, "")


def _channel(folder: str) -> str:
    """Return the kernel function that a thread sleeps in; "" if that is hidden."""
    name = _read(f"{folder}/wchan").strip("\0\n ")
    return f"in {name}" if name not in {"", "0"} else ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _name(pid: int) -> str:
    return _read(f"/proc/{pid}/comm").strip() or str(pid)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""
