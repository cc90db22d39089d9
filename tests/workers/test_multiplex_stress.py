"""Many overlapping requests with random cancels and kills: each answered once, no slot lost."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rpw_fixture.client import ActionOutcome
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ProtocolViolation,
    RequestSent,
    ResponseReceived,
    WorkerRetired,
)
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.server import Server

from .worker_actions import CANCELLATION, SANDBOX, Running, compile_action

IN_FLIGHT = 32
PLATFORM = {**SANDBOX, **CANCELLATION}
#: One kill in this number of requests, and the share of requests that is cancelled.
REQUESTS_PER_KILL = 250
CANCELLED, HELD = 0.1, 0.05


class Load:
    """Executes actions, cancels some of them and kills the worker now and then."""

    def __init__(self, server: Server, count: int, never: Path) -> None:
        self._server = server
        self._count = count
        self._never = str(never)
        self._random = random.Random(20)
        self.kills = 0
        self._done = 0
        self._lock = threading.Lock()

    def run(self) -> list[tuple[str, bool, ActionOutcome]]:
        """Name, whether it was cancelled, and outcome of each."""
        plans = [
            (f"n{number}", self._random.random(), self._random.random() * 0.02)
            for number in range(self._count)
        ]
        with ThreadPoolExecutor(IN_FLIGHT) as threads:
            return list(threads.map(self._one, plans))

    def _one(self, plan: tuple[str, float, float]) -> tuple[str, bool, ActionOutcome]:
        name, dice, pause = plan
        is_held, is_cancelled = dice < HELD, dice < CANCELLED
        flags = ("--wait-for", self._never) if is_held else ()
        action = compile_action(name, *flags, script="multiplex.py", platform=PLATFORM)
        timers: list[threading.Timer] = []

        def cancel_soon(operation: str) -> None:
            timers.append(threading.Timer(pause, self._server.client.cancel, [operation]))
            timers[-1].start()

        outcome = self._server.client.run(
            action,
            check=False,
            skip_cache_lookup=True,
            on_operation=cancel_soon if is_cancelled else None,
        )
        for each in timers:
            each.join()
        self._perhaps_kill()
        return name, is_cancelled, outcome

    def _perhaps_kill(self) -> None:
        with self._lock:
            self._done += 1
            if self._done % REQUESTS_PER_KILL:
                return
            self.kills += 1
        alive = [each for each in self._server.workers if each.is_alive]
        if alive:
            try:
                os.kill(alive[-1].pid, signal.SIGKILL)
            except ProcessLookupError:
                return


def test_every_request_is_answered_once_and_correctly_whatever_happens(
    make_rpw_server: MakeServer, tmp_path: Path, multiplex_requests: int
) -> None:
    server = make_rpw_server(
        jobs=IN_FLIGHT, max_multiplex=IN_FLIGHT, cancel_grace=30.0, max_workers_per_key=1
    )
    load = Load(server, multiplex_requests, tmp_path / "never")
    began = time.monotonic()
    results = load.run()
    seconds = time.monotonic() - began

    statuses = Counter(outcome.status for _, _, outcome in results)
    print(f"{len(results)} requests in {seconds:.1f} s, {load.kills} kills: {dict(statuses)}")
    for name, was_cancelled, outcome in results:
        if outcome.status == "OK":
            assert outcome.outputs[f"out/{name}"].startswith(f"TEXT {name.upper()}\n".encode())
        elif outcome.status == "CANCELLED":
            assert was_cancelled, outcome
        else:
            assert outcome.status == "FAILED_PRECONDITION", outcome
            assert ": crash: " in outcome.message, outcome
    assert statuses["OK"] > 0.75 * len(results)
    assert statuses["FAILED_PRECONDITION"] <= IN_FLIGHT * load.kills
    check_bookkeeping(server, len(results))
    check_slots(server, tmp_path)


def check_bookkeeping(server: Server, count: int) -> None:
    """Every action ended once, no response was taken twice, and no worker broke the protocol."""
    completed = server.events.of(ActionCompleted)
    assert server.events.wait_for(
        lambda events: sum(isinstance(each, ActionCompleted) for each in events) == count
    ), len(completed)
    sent = Counter((each.worker, each.request_id) for each in server.events.of(RequestSent))
    answered = Counter(
        (each.worker, each.request_id) for each in server.events.of(ResponseReceived)
    )
    assert set(sent.values()) == {1}
    assert set(answered.values()) <= {1}
    assert answered.keys() <= sent.keys()
    assert server.events.of(ProtocolViolation) == []
    reasons = {each.reason for each in server.events.of(WorkerRetired)}
    assert reasons <= {"crash", "ended between requests", "cancelled"}, reasons


def check_slots(server: Server, folder: Path) -> None:
    """As many requests as ever fit into that worker at the same time."""
    gate = folder / "gate"
    flags = ("--wait-for", str(gate))
    running = [
        Running(
            server, compile_action(f"s{number}", *flags, script="multiplex.py", platform=PLATFORM)
        )
        for number in range(IN_FLIGHT)
    ]
    for each in running:
        each.wait_until_sent()
    gate.touch()
    outcomes = [each.result() for each in running]
    assert all(each.ok for each in outcomes)
    assert len({each.worker_name for each in outcomes}) == 1
