"""Many actions through one worker, and many clients at once: nothing grows, nobody waits for ever.

The short form is for every day; RPW_FIXTURE_LONG=1 runs the long one.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rpw_fixture.action import Action
from rpw_fixture.client import Client
from rpw_fixture.events import ActionCompleted, InternalError, WorkerStarted
from rpw_fixture.server import Server

SAMPLES = Path(__file__).resolve().parents[1] / "sample_workers" / "python"
IS_LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"
ACTIONS = 1000 if IS_LONG else 200
CLIENTS = 64
#: How much resident memory may grow over all actions, bytes: blobs and records are kept, 20 KB each.
GROWTH = 8 << 20 if IS_LONG else 6 << 20


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as server:
        yield server
        assert server.events.of(InternalError) == []


def compilation(number: int) -> Action:
    return Action(
        arguments=[sys.executable, "tools/good.py"],
        flagfile=["--in", f"src/{number}.txt", "--out", f"out/{number}.txt"],
        inputs={f"src/{number}.txt": f"source {number}"},
        tool_inputs={f"tools/{each}": SAMPLES / each for each in ("good.py", "rpw_worker.py")},
        outputs=[f"out/{number}.txt"],
        worker_key="soak",
    )


def held() -> tuple[int, int, int]:
    """Descriptors, threads and resident bytes of this process and its descendants."""
    gc.collect()
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    return (
        sum(process.num_fds() for process in processes),
        sum(process.num_threads() for process in processes),
        sum(process.memory_info().rss for process in processes),
    )


def test_one_worker_serves_action_after_action_and_nothing_grows(server: Server) -> None:
    warm_up = ACTIONS // 4
    for number in range(warm_up):
        server.run(compilation(number))
    before = held()
    for number in range(warm_up, warm_up + ACTIONS):
        outcome = server.run(compilation(number))
        assert outcome.reused
        assert outcome.outputs[f"out/{number}.txt"].startswith(b"SOURCE %d\n" % number)
    after = held()
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1] + 2
    assert after[2] - before[2] < GROWTH
    assert len(server.events.of(WorkerStarted)) == 1


def test_one_shot_actions_leave_nothing_behind(server: Server) -> None:
    def run(number: int) -> None:
        script = f"echo {number} > out"
        server.run(Action(arguments=["/bin/sh", "-c", script], outputs=["out"]))

    for number in range(ACTIONS // 4):
        run(number)
    before = held()
    for number in range(ACTIONS // 4, ACTIONS):
        run(number)
    after = held()
    assert after[0] <= before[0] + 2
    assert after[1] <= before[1] + 2
    assert after[2] - before[2] < GROWTH


def test_sixty_four_clients_at_once_are_all_served(server: Server) -> None:
    """Each has its own connection; some actions are everybody's, some its own."""
    failures: list[BaseException] = []
    start = threading.Barrier(CLIENTS)

    def work(client_number: int) -> None:
        try:
            with Client(server.endpoint) as client:
                start.wait(60)
                for number in (0, 1000 + client_number, 1, 2000 + client_number):
                    outcome = client.run(compilation(number))
                    assert outcome.outputs[f"out/{number}.txt"].startswith(b"SOURCE %d\n" % number)
        except BaseException as error:  # noqa: BLE001 - told by the test's own thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert not any(thread.is_alive() for thread in threads)
    assert failures == []
    assert len(server.events.of(WorkerStarted)) <= server.config.max_workers_per_key
    runs = [event for event in server.events.of(ActionCompleted) if not event.cached]
    assert len(runs) == 2 * CLIENTS + 2
