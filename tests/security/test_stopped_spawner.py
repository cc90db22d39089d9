"""The server keeps its word while the spawner, through which it starts everything, is stopped or killed."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator

import psutil
import pytest

from rpw_fixture import Action, Server
from rpw_fixture.client import ActionOutcome, Client
from rpw_fixture.errors import RpwError
from rpw_fixture.events.kinds import ActionRouted
from rpw_fixture.processes.spawner_link import Link
from tests.server_process import ServerProcess

from .test_escapes import SAMPLES

#: A stopped spawner is noticed after two seconds; this is for slow machines. Unnoticed, all would hang.
NOTICE = 30.0


@pytest.fixture
def server() -> Iterator[ServerProcess]:
    with ServerProcess() as server:
        yield server


def spawner_of(server: ServerProcess) -> psutil.Process:
    (spawner,) = psutil.Process(server.pid).children()
    return spawner


def run(server: ServerProcess, action: Action) -> ActionOutcome:
    with Client(server.endpoint) as client:
        return client.run(action, check=False, timeout=60)


def echo(word: str) -> Action:
    return Action(arguments=["/bin/echo", word])


def worker_action() -> Action:
    return Action(
        arguments=[sys.executable, "tools/good.py"],
        flagfile=["--in", "in", "--out", "out"],
        inputs={"in": "text"},
        tool_inputs={f"tools/{name}": SAMPLES / name for name in ("good.py", "rpw_worker.py")},
        outputs=["out"],
        worker_key="stopped",
    )


@pytest.mark.parametrize("make", [lambda: echo("again"), worker_action], ids=["one-shot", "worker"])
def test_an_action_after_a_stop_is_served(
    server: ServerProcess, make: Callable[[], Action]
) -> None:
    assert run(server, echo("first")).ok
    stopped = spawner_of(server)
    stopped.suspend()
    begin = time.monotonic()
    assert run(server, make()).ok
    assert time.monotonic() - begin < NOTICE
    assert spawner_of(server).pid != stopped.pid


def test_a_timeout_is_kept_while_the_spawner_is_stopped(server: ServerProcess) -> None:
    assert run(server, echo("first")).ok
    script = f"kill -STOP {spawner_of(server).pid}; exec sleep 1000"
    begin = time.monotonic()
    outcome = run(server, Action(arguments=["/bin/sh", "-c", script], timeout=0.5))
    assert outcome.status == "DEADLINE_EXCEEDED"
    assert time.monotonic() - begin < 0.5 + NOTICE


def test_sigterm_ends_a_server_whose_spawner_is_stopped() -> None:
    ended: list[ActionOutcome | RpwError] = []
    with ServerProcess() as server:
        assert run(server, echo("first")).ok
        spawner = spawner_of(server)

        def hang() -> None:
            try:
                ended.append(run(server, Action(arguments=["/bin/sleep", "1000"])))
            except RpwError as error:
                ended.append(error)

        thread = threading.Thread(target=hang)
        thread.start()
        while "sleep" not in {each.name() for each in spawner.children(recursive=True)}:
            assert thread.is_alive()
        spawner.suspend()
        assert server.stop() == 0
        thread.join(60)
    assert len(ended) == 1
    assert not psutil.pid_exists(spawner.pid)


def test_sigterm_ends_an_idle_server_whose_spawner_is_stopped(server: ServerProcess) -> None:
    assert run(server, echo("first")).ok
    spawner_of(server).suspend()
    begin = time.monotonic()
    assert server.stop() == 0
    assert time.monotonic() - begin < NOTICE


@pytest.mark.parametrize(
    ("make", "mode"), [(lambda: echo("never"), "one-shot"), (worker_action, "worker")]
)
def test_an_action_that_never_ran_is_unavailable(
    monkeypatch: pytest.MonkeyPatch, make: Callable[[], Action], mode: str
) -> None:
    def die(link: Link, *_: object) -> None:
        link._program.kill()

    with Server() as server:
        assert server.run(echo("first")).ok
        with monkeypatch.context() as patch:
            patch.setattr(Link, "spawn", die)
            outcome = server.run(make(), check=False)
            assert outcome.status == "UNAVAILABLE"
            assert server.events.of(ActionRouted)[-1].mode == mode
            assert "was killed twice" in outcome.message
        assert server.run(make()).ok


def test_a_spawner_killed_under_a_worker_makes_its_request_unavailable() -> None:
    program = "import os, time; os.read(0, 1); time.sleep(1000)"
    action = Action(
        arguments=[sys.executable, "-I", "-S", "tools/worker.py"],
        flagfile=["a"],
        tool_inputs={"tools/worker.py": program},
        worker_key="killed",
    )
    outcomes: list[ActionOutcome] = []
    with Server() as server:
        thread = threading.Thread(target=lambda: outcomes.append(server.run(action, check=False)))
        thread.start()
        assert server.events.wait_for(lambda _: bool(server.workers))
        (spawner,) = psutil.Process().children()
        spawner.send_signal(signal.SIGKILL)
        thread.join(60)
    assert outcomes[0].status == "UNAVAILABLE"
    assert "supervisor was killed" in outcomes[0].message


def test_a_spawner_that_is_killed_while_no_client_waits_leaves_no_worker() -> None:
    with Server() as server:
        assert server.run(worker_action()).ok
        (spawner,) = psutil.Process().children()
        worker = psutil.Process(server.workers[0].pid)
        spawner.send_signal(signal.SIGKILL)
        assert psutil.wait_procs([worker], timeout=NOTICE)[1] == []
        assert server.run(worker_action()).ok


def test_the_thread_that_watches_ends_with_the_spawner() -> None:
    with Server() as server:
        assert server.run(echo("first")).ok
        assert "rpw-spawner-watch" in {each.name for each in threading.enumerate()}
    assert "rpw-spawner-watch" not in {each.name for each in threading.enumerate()}
