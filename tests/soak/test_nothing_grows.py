"""Many actions through one worker, and many clients at once: nothing grows, and no client hangs.

The short form is for every day; RPW_FIXTURE_LONG=1 runs the long one.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import psutil
import pytest

from rpw_fixture.client import Client
from rpw_fixture.client.action import Action
from rpw_fixture.events.kinds import ActionCompleted, InternalError, WorkerStarted
from rpw_fixture.server import Server
from tests.waiting import until

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"
IS_LONG = os.environ.get("RPW_FIXTURE_LONG") == "1"
ACTIONS = 1000 if IS_LONG else 200
CLIENTS = 64
#: What the server may remember of one action, bytes: its blobs, its records, its finished operation.
MEMORY = 32 << 10
#: What allocators and caches take besides, bytes.
SLACK = 6 << 20


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What this process, which is the server as well, and its descendants hold.

    Threads are those of this process that Python knows: ours. gRPC starts others,
    depending on the load of the machine.
    """

    descriptors: int
    threads: int
    server_bytes: int
    worker_bytes: int

    @classmethod
    def now(cls) -> Self:
        gc.collect()
        server = psutil.Process()
        workers = server.children(recursive=True)
        return cls(
            descriptors=sum(process.num_fds() for process in (server, *workers)),
            threads=threading.active_count() + sum(each.num_threads() for each in workers),
            server_bytes=server.memory_info().rss,
            worker_bytes=sum(process.memory_info().rss for process in workers),
        )


def assert_stable_since(before: Held, actions: int) -> None:
    # An action's folder is removed when its answer is on the way already, by descriptors.
    until(lambda: Held.now().descriptors <= before.descriptors + 2)
    now = Held.now()
    assert now.threads <= before.threads + 10  # threads for calls that happened to overlap
    assert now.worker_bytes - before.worker_bytes < SLACK
    assert now.server_bytes - before.server_bytes < SLACK + actions * MEMORY


def objects_after_reset(server: Server) -> int:
    """How many objects Python keeps track of once the server has forgotten everything."""
    server.reset()
    gc.collect()
    return len(gc.get_objects())


def test_one_worker_serves_action_after_action_and_nothing_grows(server: Server) -> None:
    warm_up = ACTIONS // 4
    for number in range(warm_up):
        server.run(compilation(number))
    before = Held.now()
    for number in range(warm_up, warm_up + ACTIONS):
        outcome = server.run(compilation(number))
        assert outcome.reused
        assert outcome.outputs[f"out/{number}.txt"].startswith(b"SOURCE %d\n" % number)
    assert_stable_since(before, ACTIONS)
    assert len(server.events.of(WorkerStarted)) == 1


def test_one_shot_actions_leave_nothing_behind(server: Server) -> None:
    for number in range(ACTIONS // 4):
        server.run(one_shot(number))
    before = Held.now()
    for number in range(ACTIONS // 4, ACTIONS):
        server.run(one_shot(number))
    assert_stable_since(before, ACTIONS)


def test_a_server_that_is_reset_keeps_nothing_of_what_it_did(server: Server) -> None:
    def work() -> None:
        for number in range(ACTIONS):
            server.run(compilation(number))
            server.run(one_shot(number))

    work()  # fills what is bounded: pools of threads, memos of the runtime
    before = objects_after_reset(server)
    work()
    assert objects_after_reset(server) - before < ACTIONS


def one_shot(number: int) -> Action:
    return Action(arguments=["/bin/sh", "-c", f"echo {number} > out"], outputs=["out"])


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
        except BaseException as error:  # noqa: BLE001 - raised by the test's own thread
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
