"""Actions while the spawner or workers are killed again and again: none is lost, none is wrong."""

from __future__ import annotations

import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from rpw_fixture import Action
from rpw_fixture.client import ActionOutcome, Client
from rpw_fixture.processes import process_tree
from tests.server_process import ServerProcess

from .serving import LONG

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"
SPAWNER_ACTIONS = 500 if LONG else 60
WORKER_ACTIONS = 600 if LONG else 80
IN_FLIGHT = 16
_SEED = 20
_PATIENCE = 120.0


def one_shot(number: int) -> Action:
    """Long enough that some are hit in the middle."""
    script = f"sleep 0.0{number % 10}; echo {number} > out; echo {number}"
    return Action(arguments=["/bin/sh", "-c", script], outputs=["out"])


def worker_action(number: int) -> Action:
    return Action(
        arguments=[sys.executable, "tools/good.py"],
        flagfile=["--in", "in", "--out", "out"],
        inputs={"in": f"text {number}\n"},
        tool_inputs={f"tools/{name}": SAMPLES / name for name in ("good.py", "rpw_worker.py")},
        outputs=["out"],
        worker_key=f"soak-{number % 3}",
    )


def is_right(number: int, outcome: ActionOutcome, make: Callable[[int], Action]) -> bool:
    content = outcome.outputs.get("out", b"")
    if make is one_shot:
        return outcome.ok and content == outcome.stdout == b"%d\n" % number
    return outcome.ok and content.startswith(b"TEXT %d\n" % number)


def run_all(
    server: ServerProcess, numbers: range, make: Callable[[int], Action]
) -> dict[int, ActionOutcome]:
    """Run one action for each number, some at a time."""
    with Client(server.endpoint) as client, ThreadPoolExecutor(IN_FLIGHT) as pool:

        def run(number: int) -> ActionOutcome:
            return client.run(make(number), check=False, timeout=_PATIENCE)

        return dict(zip(numbers, pool.map(run, numbers), strict=True))


def run_until(
    over: Callable[[], bool], server: ServerProcess, numbers: range, make: Callable[[int], Action]
) -> dict[int, ActionOutcome]:
    """Run the actions, and as many again until it is over: a fast machine is soon through."""
    outcomes = run_all(server, numbers, make)
    deadline = time.monotonic() + _PATIENCE
    while not over() and time.monotonic() < deadline:
        numbers = range(numbers.stop, numbers.stop + len(numbers))
        outcomes |= run_all(server, numbers, make)
    return outcomes


@contextmanager
def killing(find: Callable[[], psutil.Process | None], interval: float) -> Iterator[list[int]]:
    """Kill what is found, again and again; gives the process ids of those that were killed."""
    over, killed = threading.Event(), list[int]()

    def work() -> None:
        while not over.wait(interval):
            try:
                process = find()
                if process is not None:
                    process.kill()
                    killed.append(process.pid)
            except psutil.NoSuchProcess:
                continue

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield killed
    finally:
        over.set()
        thread.join()


def judge(
    outcomes: dict[int, ActionOutcome], make: Callable[[int], Action], others: set[str]
) -> Counter[str]:
    """Assert that each action is right or has one of the other statuses; return how many have which."""
    wrong = {
        number: outcome
        for number, outcome in outcomes.items()
        if not is_right(number, outcome, make) and outcome.status not in others
    }
    assert wrong == {}
    return Counter(outcome.status for outcome in outcomes.values())


@pytest.mark.parametrize("make", [one_shot, worker_action])
def test_actions_while_the_spawner_is_killed(make: Callable[[int], Action]) -> None:
    with ServerProcess() as server:
        process = psutil.Process(server.pid)

        def spawner() -> psutil.Process | None:
            return next(iter(process.children()), None)

        begin = time.monotonic()
        with killing(spawner, 0.25) as killed:
            outcomes = run_until(
                lambda: len(set(killed)) >= 2, server, range(SPAWNER_ACTIONS), make
            )
        seen = judge(outcomes, make, {"UNAVAILABLE"})
        print(
            f"{make.__name__}: {len(killed)} kills, {dict(seen)}, {time.monotonic() - begin:.1f} s"
        )
        assert seen.total() == len(outcomes) >= SPAWNER_ACTIONS
        assert len(set(killed)) >= 2
        after = run_all(server, range(len(outcomes), len(outcomes) + 20), make)
        assert judge(after, make, set()) == {"OK": 20}


@pytest.mark.skipif(sys.platform != "linux", reason="workers are found through /proc")
def test_actions_while_workers_are_killed() -> None:
    chosen = random.Random(_SEED)
    with ServerProcess() as server:

        def supervisors() -> list[int]:
            spawners = process_tree.children(server.pid)
            return [each for spawner in spawners for each in process_tree.children(spawner)]

        def worker() -> psutil.Process | None:
            workers = [worker for each in supervisors() for worker in process_tree.children(each)]
            return psutil.Process(chosen.choice(workers)) if workers else None

        run_all(server, range(IN_FLIGHT), worker_action)
        numbers = range(IN_FLIGHT, IN_FLIGHT + WORKER_ACTIONS)
        with killing(worker, 0.05) as killed:
            outcomes = run_until(lambda: bool(killed), server, numbers, worker_action)
        seen = judge(outcomes, worker_action, {"FAILED_PRECONDITION"})
        print(f"{len(killed)} workers killed, {dict(seen)}")
        assert seen.total() == len(outcomes) >= WORKER_ACTIONS
        assert killed
