"""Which processors threads run on (Linux; elsewhere nothing here does anything).

One thread of Python runs at a time, so the threads of a server have no use for a second processor. Spread
over several, they wake another one whenever one hands a call or the interpreter lock on, which on virtual
machines costs more than the work in between (docs/performance.md has figures). gRPC's own threads, which
need no interpreter, and processes are left free.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

#: Where in /proc/thread-self/stat, counted from behind the name, the processor stands (proc(5)).
_PROCESSOR = 36


def call_together(function: Callable[[], None]) -> None:
    """Calls ``function``; the threads it starts, and those they start, stay on one processor.

    It is one where the kernel has room now. The caller itself stays free.
    """
    failure: list[BaseException] = []

    def call() -> None:
        _hold()
        try:
            function()
        except BaseException as error:  # noqa: BLE001 - raised again by the caller
            failure.append(error)

    thread = threading.Thread(target=call, name="rpw-start")
    thread.start()
    thread.join()
    if failure:
        raise failure[0]


@contextlib.contextmanager
def anywhere() -> Iterator[None]:
    """Processes started in the block may run wherever this process may, by its main thread."""
    if sys.platform != "linux":
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, os.sched_getaffinity(os.getpid()))
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def give_way() -> None:
    """Lets threads run that wait for the processor, before work that nobody waits for."""
    if sys.platform == "linux":
        os.sched_yield()


def _hold() -> None:
    if sys.platform != "linux":
        return
    with contextlib.suppress(OSError):  # a sandbox without /proc; it is as well, but slower
        fields = Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()
        os.sched_setaffinity(0, {int(fields[_PROCESSOR])})
