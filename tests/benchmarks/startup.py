"""Starting a server: in the process of a test, and from a shell."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture import Server

from . import bare_server
from .figures import Effort, Figure
from .processes import BARE, OURS, ServerProcess
from .sampling import interleaved, median


def figures(effort: Effort) -> Iterator[Figure]:
    """Start and stop in this process; start to ready line of a process of its own, and its size."""
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
    yield from _processes(effort.pick(smoke=1, quick=7, full=25))


def _processes(rounds: int) -> Iterator[Figure]:
    taken: dict[tuple[str, ...], list[float]] = {OURS: [], BARE: []}
    resident: dict[tuple[str, ...], list[float]] = {OURS: [], BARE: []}
    for number in range(rounds + 1):
        for command, times in taken.items():
            with ServerProcess(command) as server:
                if number:  # the first start may have to compile
                    times.append(server.start_ms)
                    resident[command].append(server.resident_mib)
    yield Figure(
        name="`python -m rpw_fixture serve` to its ready line",
        ours=median(taken[OURS]),
        floor=median(taken[BARE]),
        floor_name="process start of a bare grpcio server",
        target=1.4,
        samples=rounds,
    )
    yield Figure(
        name="resident memory of `serve` when ready",
        ours=median(resident[OURS]),
        unit="MiB",
        floor=median(resident[BARE]),
        floor_name="a bare grpcio server (informative)",
        target=55,
        is_floor_informative=True,
        samples=rounds,
    )


def _start_ours(_number: int) -> None:
    with Server():
        pass


def _start_bare(_number: int) -> None:
    server, _ = bare_server.start()
    server.stop(0).wait()
