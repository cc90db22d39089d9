"""Which processors threads run on (Linux; elsewhere nothing here does anything).

One thread of Python runs at a time, so the threads of a server have no use for a second processor. Spread
over several, they wake another one whenever one hands a call or the interpreter lock on, which on virtual
machines costs more than the work in between (docs/performance.md has figures). gRPC's own threads, which
need no interpreter, and processes are left free.
"""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from rpw_fixture.support.closing import Closeable

#: Where in /proc/thread-self/stat, counted from behind the name, the processor stands (proc(5)).
_PROCESSOR = 36
#: An abstract socket of this name says that a server stays on a processor. It ends with its process.
_CLAIM = "\0rpw_fixture/processor/{}"


class Processor(Closeable):
    """One processor for the threads of one server.

    No other server has it. When all are taken, threads run wherever the kernel likes: two servers on
    one processor would be worse off than that.
    """

    def __init__(self) -> None:
        self._claim: socket.socket | None = None

    def hold(self, function: Callable[[], None]) -> None:
        """Call ``function``; the threads it starts, and those they start, stay on the processor.

        It is one where the kernel has room now, if possible. The caller itself stays free.
        """
        failure: list[BaseException] = []

        def call() -> None:
            self._move_in()
            try:
                function()
            except BaseException as error:  # noqa: BLE001 - raised again by the caller
                failure.append(error)

        thread = threading.Thread(target=call, name="rpw-start")
        thread.start()
        thread.join()
        if failure:
            raise failure[0]

    def close(self) -> None:
        """Leave the processor to others."""
        if self._claim is not None:
            self._claim.close()

    def _move_in(self) -> None:
        """Have the calling thread stay on a processor that is free."""
        if sys.platform != "linux":
            return
        with contextlib.suppress(OSError):  # a sandbox without /proc; it is as well, but slower
            fields = Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()
            here = int(fields[_PROCESSOR])
            for each in sorted(os.sched_getaffinity(0), key=lambda number: number != here):
                self._claim = _claimed(each)
                if self._claim is not None:
                    os.sched_setaffinity(0, {each})
                    return


@contextlib.contextmanager
def anywhere() -> Iterator[None]:
    """Processes started in the block may run wherever this process may, by its main thread."""
    if sys.platform != "linux":
        yield
        return
    before, free = os.sched_getaffinity(0), os.sched_getaffinity(os.getpid())
    if before == free:
        yield
        return
    # Which processors there are can change meanwhile; then the kernel has moved the thread itself.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, free)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)


def give_way() -> None:
    """Let threads run that wait for the processor, before work that nobody waits for."""
    if sys.platform == "linux":
        os.sched_yield()


def _claimed(processor: int) -> socket.socket | None:
    """Return the claim to a processor; None when another server has it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(_CLAIM.format(processor))
    except OSError:
        claim.close()
        return None
    return claim
