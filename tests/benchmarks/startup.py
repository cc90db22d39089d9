"""Starting a server: in the process of a test, and from a shell."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

from rpw_fixture import Server
from tests.server_process import ROOT

from . import bare_server
from .figures import Effort, Figure
from .processes import BARE, ENVIRONMENT, OURS, ServerProcess
from .sampling import interleaved, median
from .wire import CAPABILITIES, connected

#: Print the milliseconds from the start of a server to its first answer. A test's process has loaded the
#: plugin and gRPC by then; the client is the same.
_FIRST_OURS = f"""
import time
import grpc, rpw_fixture.pytest_plugin
from rpw_fixture import Server
from tests.benchmarks.wire import connected
begin = time.perf_counter()
with Server() as server, connected(server.endpoint.removeprefix("grpc://")) as wire:
    wire.unary({CAPABILITIES!r}, b"")
    print((time.perf_counter() - begin) * 1000)
"""
_FIRST_BARE = """
import time
import grpc
from tests.benchmarks import bare_server
from tests.benchmarks.wire import connected
begin = time.perf_counter()
server, address = bare_server.start()
with connected(address) as wire:
    wire.unary("/bare/Unary", b"")
    print((time.perf_counter() - begin) * 1000)
server.stop(0).wait()
"""


def figures(effort: Effort) -> Iterator[Figure]:
    """Start and stop in this process; start to ready line of a separate process, and its size."""
    rounds = effort.pick(smoke=1, quick=20, full=100)
    ours, bare = interleaved(rounds, _start_ours, _start_bare)
    yield Figure(
        name="start and stop of a server in the process",
        ours=median(ours),
        floor=median(bare),
        floor_name="the same of a bare grpcio server (informative)",
        target=15,
        is_floor_informative=True,
        samples=rounds,
    )
    starts = effort.pick(smoke=1, quick=7, full=25)
    yield from _first_answers(starts)
    yield from _processes(starts)


def _first_answers(rounds: int) -> Iterator[Figure]:
    """What the first server in a test process takes to its first answer, when all is imported."""
    taken: dict[str, list[float]] = {_FIRST_OURS: [], _FIRST_BARE: []}
    for number in range(rounds + 1):
        for program, times in taken.items():
            command = [sys.executable, "-c", program]
            output = subprocess.check_output(command, cwd=ROOT, env=ENVIRONMENT)
            if number > 0:  # the first start may have to compile
                times.append(float(output))
    yield Figure(
        name="first server in a test process, from its start to its first answer",
        ours=median(taken[_FIRST_OURS]),
        floor=median(taken[_FIRST_BARE]),
        floor_name="the same of a bare grpcio server (informative)",
        target=15,
        is_floor_informative=True,
        samples=rounds,
    )


def _processes(rounds: int) -> Iterator[Figure]:
    starts = {OURS: _Starts(CAPABILITIES), BARE: _Starts("/bare/Unary")}
    for number in range(rounds + 1):
        for command, start in starts.items():
            start.once(command, is_kept=number > 0)  # the first start may have to compile
    ours, bare = starts[OURS], starts[BARE]
    yield Figure(
        name="`python -m rpw_fixture serve` to its ready line",
        ours=median(ours.ready),
        floor=median(bare.ready),
        floor_name="process start of a bare grpcio server",
        target=1.4,
        samples=rounds,
    )
    yield Figure(
        name="`python -m rpw_fixture serve` to its first answer",
        ours=median(ours.answered),
        floor=median(bare.answered),
        floor_name="the same of a bare grpcio server",
        samples=rounds,
    )
    yield Figure(
        name="`python -m rpw_fixture serve`: first answer after its ready line",
        ours=median(ours.first),
        floor=median(bare.first),
        floor_name="the same of a bare grpcio server (informative)",
        target=15,
        is_floor_informative=True,
        samples=rounds,
    )
    yield Figure(
        name="resident memory of `serve` when ready",
        ours=median(ours.resident),
        unit="MiB",
        floor=median(bare.resident),
        floor_name="a bare grpcio server (informative)",
        target=55,
        is_floor_informative=True,
        samples=rounds,
    )


class _Starts:
    """Starts of one kind of server.

    Args:
        path: a call it answers.

    Attributes:
        ready: milliseconds from the start of the process to its ready line.
        answered: to the answer of the first call, which is made as soon as that line is read.
        first: from the ready line to that answer.
        resident: MiB at the ready line.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.ready: list[float] = []
        self.answered: list[float] = []
        self.first: list[float] = []
        self.resident: list[float] = []

    def once(self, command: tuple[str, ...], *, is_kept: bool) -> None:
        with ServerProcess(command) as server:
            resident = server.resident_mib
            begin = time.perf_counter()
            with connected(server.address) as wire:
                wire.unary(self._path, b"")
                answered = (time.perf_counter() - begin) * 1000
        if is_kept:
            self.ready.append(server.start_ms)
            self.answered.append(server.start_ms + answered)
            self.first.append(answered)
            self.resident.append(resident)


def _start_ours(_number: int) -> None:
    with Server():
        pass


def _start_bare(_number: int) -> None:
    server, _ = bare_server.start()
    server.stop(0).wait()
