"""Warm worker actions with many in flight: throughput, as the time of a whole round of them."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from rpw_fixture import Action

from .figures import Effort, Figure, UnavailableError
from .pair import Pair, pair
from .sampling import interleaved, median
from .workload import Ready, changed, check, native_action, upload, worker_action

_IN_FLIGHT = (8, 64, 256)
_NATIVE_IN_FLIGHT = (8, 64)
_SOURCE = Path(__file__).with_name("trivial_worker.c")
_WARM_UP = 1


def figures(effort: Effort) -> Iterator[Figure]:
    """Rounds of as many actions as no-op streams, of a worker in Python and of one in C.

    Raises:
        UnavailableError: there is no C compiler.
    """
    yield from _of_worker(worker_action(), "", _IN_FLIGHT, effort)
    with tempfile.TemporaryDirectory() as folder:
        action = native_action(_compiled(Path(folder)))
        yield from _of_worker(action, " of a worker in C", _NATIVE_IN_FLIGHT, effort)


def _of_worker(
    action: Action, whose: str, numbers: Sequence[int], effort: Effort
) -> Iterator[Figure]:
    """Figures of one worker, for each number in flight."""
    rounds = effort.pick(smoke=1, quick=5, full=15)
    size = effort.pick(smoke=4, quick=128, full=256)
    total = (rounds + _WARM_UP) * size
    with pair() as servers:
        for index, in_flight in enumerate(numbers):
            actions = changed(action, total + 1, start=index * (total + 1))
            ready = upload(servers.client, actions)
            servers.learn(ready.pop())
            measured = _measure(servers, ready, in_flight, rounds)
            yield Figure(
                name=f"{size} warm actions{whose}, {in_flight} in flight",
                ours=measured.ours,
                floor=measured.bare,
                floor_name=f"{size} no-op Execute streams, {in_flight} in flight",
                target=1.75 if whose else 1.5,
                samples=rounds,
            )
            yield Figure(
                name=f"processor time of the server per warm action{whose}, {in_flight} in flight",
                ours=measured.ours_busy,
                floor=measured.bare_busy,
                floor_name="the same of the bare server per no-op Execute stream",
                samples=(rounds + _WARM_UP) * size,
            )


def _compiled(folder: Path) -> Path:
    compiler = shutil.which("cc")
    if compiler is None:
        raise UnavailableError("there is no C compiler (cc)")
    worker = folder / "trivial_worker"
    subprocess.run([compiler, "-O2", "-o", worker, _SOURCE], check=True)
    return worker


class _Measured(NamedTuple):
    """What rounds of actions and of no-ops took, milliseconds.

    Attributes:
        ours, bare: median of a round.
        ours_busy, bare_busy: processor time of the server's own process for one of them. It depends
            less than a time by the clock on what else the machine does.
    """

    ours: float
    bare: float
    ours_busy: float
    bare_busy: float


def _measure(servers: Pair, actions: Sequence[Ready], in_flight: int, rounds: int) -> _Measured:
    """Measure rounds of actions and rounds of no-ops, in turn."""
    size = len(actions) // (rounds + _WARM_UP)
    answers: list[list[bytes]] = []
    before = servers.server.busy_ms, servers.floor.busy_ms
    with ThreadPoolExecutor(in_flight) as threads:

        def run(call: Callable[[Ready], list[bytes]], number: int) -> list[list[bytes]]:
            return list(threads.map(call, actions[number * size :][:size]))

        ours, bare = interleaved(
            rounds,
            lambda number: answers.extend(run(servers.execute, number)),
            lambda number: run(servers.no_op, number),
            warm_up=_WARM_UP,
        )
    busy = servers.server.busy_ms - before[0], servers.floor.busy_ms - before[1]
    check(answers)
    return _Measured(median(ours), median(bare), busy[0] / len(actions), busy[1] / len(actions))
