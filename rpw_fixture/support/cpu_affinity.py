"""Pinning the threads of a server to one CPU (Linux; elsewhere nothing here has an effect).

One thread of Python runs at a time, so the threads of a server can't use a second CPU. Spread over several,
they wake another CPU whenever one passes a call or the interpreter lock on, which on virtual machines costs
more than the work in between (docs/performance.md has figures). The threads of gRPC, which need no
interpreter, and processes are not pinned.
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

#: Position of the CPU in /proc/thread-self/stat, counted after the name (proc(5)).
_PROCESSOR = 36
#: Name of the abstract socket by which a server claims a CPU. It ends with its process.
_CLAIM = "\0rpw_fixture/processor/{}"


class Processor(Closeable):
    """One CPU for the threads of one server.

    No other server claims it. When all CPUs are claimed, threads are not pinned: two servers on one CPU
    would be slower than that.
    """

    def __init__(self) -> None:
        self._claim: socket.socket | None = None

    def hold(self, function: Callable[[], None]) -> None:
        """Call ``function``; the threads that it starts, and those that they start, stay on the CPU.

        The CPU on which the kernel runs this call is preferred. The calling thread is not pinned.
        """
        failure: list[BaseException] = []

        def call() -> None:
            self._pin_thread()
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
        """Release the claim to the CPU."""
        if self._claim is not None:
            self._claim.close()

    def _pin_thread(self) -> None:
        """Pin the calling thread to an unclaimed CPU."""
        if sys.platform != "linux":
            return
        with contextlib.suppress(OSError):  # a sandbox without /proc: correct, but slower
            fields = Path("/proc/thread-self/stat").read_text().rpartition(")")[2].split()
            here = int(fields[_PROCESSOR])
            for each in sorted(os.sched_getaffinity(0), key=lambda number: number != here):
                self._claim = _claimed(each)
                if self._claim is not None:
                    os.sched_setaffinity(0, {each})
                    return


@contextlib.contextmanager
def anywhere() -> Iterator[None]:
    """Let processes that are started in the block use all CPUs of this process's main thread."""
    if sys.platform != "linux":
        yield
        return
    before, free = os.sched_getaffinity(0), os.sched_getaffinity(os.getpid())
    if before == free:
        yield
        return
    # The set of CPUs may change meanwhile; then the kernel has moved the thread itself.
    with contextlib.suppress(OSError):
        os.sched_setaffinity(0, free)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, before)


def give_way() -> None:
    """Let threads run that wait for the CPU, before work that is not urgent."""
    if sys.platform == "linux":
        os.sched_yield()


def _claimed(processor: int) -> socket.socket | None:
    """Claim a CPU; return the claim, None when another server has it."""
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(_CLAIM.format(processor))
    except OSError:
        claim.close()
        return None
    return claim
