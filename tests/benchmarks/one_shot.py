"""Actions without a worker: a process each."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from rpw_fixture import Action

from .figures import Effort, Figure
from .pair import pair
from .sampling import interleaved, median, median_sum
from .workload import check, upload

_WARM_UP = 3


def figures(effort: Effort) -> Iterator[Figure]:
    """A shell that writes one file, and a program that does nothing."""
    yield _figure("one-shot action", action, effort)
    yield _figure("one-shot action: /bin/true", nothing, effort)


def _figure(name: str, make: Callable[[int], Action], effort: Effort) -> Figure:
    rounds = effort.pick(smoke=1, quick=60, full=300)
    actions = [make(number) for number in range(rounds + _WARM_UP + 1)]
    with pair() as servers, tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "out").mkdir()
        ready = upload(servers.client, actions)
        servers.learn(ready.pop())
        answers: list[list[bytes]] = []
        ours, no_op, spawned = interleaved(
            rounds,
            lambda number: answers.append(servers.execute(ready[number])),
            lambda number: servers.no_op(ready[number]),
            lambda number: _spawn(actions[number], Path(folder)),
            warm_up=_WARM_UP,
        )
    check(answers)
    return Figure(
        name=name,
        ours=median(ours),
        floor=median_sum(no_op, spawned),
        floor_name="subprocess of the same command + no-op Execute stream",
        target=1.15,
        samples=rounds,
    )


def action(number: int) -> Action:
    """One of many that differ in their command line alone."""
    return Action(
        arguments=("/bin/sh", "-c", f"echo {number} > out/result.txt"),
        inputs={f"d/in{each}.txt": f"input {each}\n" for each in range(20)},
        outputs=("out/result.txt",),
    )


def nothing(number: int) -> Action:
    """One of many that do nothing, without inputs and outputs."""
    return Action(arguments=("/bin/true", str(number)))


def _spawn(spawned: Action, folder: Path) -> None:
    subprocess.run(
        spawned.arguments,
        cwd=folder,
        env={},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
