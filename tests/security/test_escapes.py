"""No descendant outlives its action, its worker or the server, whatever it does to get away."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from rpw_fixture import Action
from rpw_fixture.client import ActionOutcome, Client
from rpw_fixture.errors import RpwError
from tests.server_process import ServerProcess
from tests.waiting import until

from . import escapes

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there are no subreapers")

SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"
#: What an action started would stay for as long as the server: a bound for slow machines, seconds.
PATIENCE = 30.0


@dataclass(slots=True)
class Held:
    """A server, with an action or a worker that started one process of every kind."""

    server: ServerProcess
    folder: Path
    thread: threading.Thread | None = None
    outcomes: list[ActionOutcome | RpwError] = field(default_factory=list)

    @property
    def leader(self) -> psutil.Process:
        return psutil.Process(int((self.folder / "pid").read_text()))

    @property
    def supervisor(self) -> psutil.Process:
        parent = self.leader.parent()
        assert parent is not None
        return parent

    @property
    def spawner(self) -> psutil.Process:
        (spawner,) = psutil.Process(self.server.pid).children()
        return spawner

    def start(self, action: Action) -> None:
        self.thread = threading.Thread(target=self._run, args=(action,))
        self.thread.start()
        until(lambda: len(escapes.alive(self.folder)) == len(escapes.NAMES), "all of them run")
        until((self.folder / "pid").exists)

    def let_go(self) -> None:
        """Let the action end by itself."""
        (self.folder / "gate").write_text("")

    def outcome(self) -> ActionOutcome | RpwError:
        assert self.thread is not None
        self.thread.join(60)
        assert not self.thread.is_alive()
        return self.outcomes[0]

    def status(self) -> str:
        outcome = self.outcome()
        assert isinstance(outcome, ActionOutcome), outcome
        return outcome.status

    def _run(self, action: Action) -> None:
        with Client(self.server.endpoint) as client:
            try:
                self.outcomes.append(client.run(action, check=False, timeout=60))
            except RpwError as error:
                self.outcomes.append(error)


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    folder = tmp_path / "held"
    folder.mkdir()
    os.mkfifo(folder / "gate")
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    with ServerProcess(environment=environment) as server:
        held = Held(server, folder)
        try:
            yield held
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.kill(server.pid, signal.SIGCONT)
            server.kill()
            if held.thread is not None:
                held.thread.join(60)
            escapes.kill_survivors(folder)


def one_shot(held: Held, **settings: float) -> None:
    script = escapes.program(held.folder, escapes.ACTION)
    held.start(Action(arguments=[*escapes.INTERPRETER, script], **settings))


def worker(held: Held) -> None:
    held.start(worker_action(held))
    assert held.status() == "OK"


def worker_action(held: Held, name: str = "a") -> Action:
    return Action(
        arguments=[sys.executable, "-B", "tools/worker.py"],
        flagfile=[name],
        tool_inputs={
            "tools/worker.py": escapes.program(held.folder, escapes.WORKER),
            "tools/rpw_worker.py": SAMPLES / "rpw_worker.py",
        },
        worker_key="escapes",
        timeout=60,
    )


def assert_gone(held: Held) -> None:
    assert escapes.survivors(held.folder, PATIENCE) == set()


def assert_serves(held: Held) -> None:
    with Client(held.server.endpoint) as client:
        outcome = client.run(Action(arguments=["/bin/echo", "fine"]), timeout=60)
    assert outcome.stdout == b"fine\n"


def test_they_end_with_their_action(held: Held) -> None:
    one_shot(held)
    held.let_go()
    assert held.status() == "OK"
    assert_gone(held)


def test_they_end_with_the_time_of_their_action(held: Held) -> None:
    script = escapes.program(held.folder, escapes.ACTION)
    held.start(Action(arguments=[*escapes.INTERPRETER, script], timeout=8))
    assert held.status() == "DEADLINE_EXCEEDED"
    assert_gone(held)


def test_they_end_with_an_action_beside_which_others_run(held: Held) -> None:
    one_shot(held)
    gate = held.folder / "other-gate"
    os.mkfifo(gate)
    outcomes: list[ActionOutcome] = []

    def run_other() -> None:
        with Client(held.server.endpoint) as client:
            script = f"(sleep 0.01; echo child) & : > {gate}; read _ < {gate}; wait; echo done"
            outcomes.append(client.run(Action(arguments=["/bin/sh", "-c", script]), timeout=60))

    other = threading.Thread(target=run_other)
    other.start()
    gate.read_text()
    held.let_go()
    assert held.status() == "OK"
    assert_gone(held)
    gate.write_text("\n")
    other.join(60)
    assert outcomes[0].stdout == b"child\ndone\n"


def test_they_end_with_their_worker(held: Held) -> None:
    worker(held)
    held.leader.kill()
    assert_gone(held)


def kill_spawner(held: Held) -> None:
    held.spawner.kill()


def kill_server(held: Held) -> None:
    os.kill(held.server.pid, signal.SIGKILL)


def kill_both(held: Held) -> None:
    """As at the same moment: neither sees anything of the other's end."""
    spawner = held.spawner
    for process in (psutil.Process(held.server.pid), spawner):
        process.suspend()
    for process in (psutil.Process(held.server.pid), spawner):
        process.kill()


def stop_spawner_and_kill_server(held: Held) -> None:
    held.spawner.suspend()
    kill_server(held)


def kill_spawner_with_stopped_supervisor(held: Held) -> None:
    """The spawner is stopped first, or it would kill the supervisor itself."""
    spawner = held.spawner
    spawner.suspend()
    held.supervisor.suspend()
    spawner.kill()


def kill_both_with_stopped_supervisor(held: Held) -> None:
    """The kernel continues it, because its parent's end orphans its process group."""
    supervisor, spawner = held.supervisor, held.spawner
    spawner.suspend()
    supervisor.suspend()
    until(lambda: supervisor.status() == psutil.STATUS_STOPPED)
    for process in (psutil.Process(held.server.pid), spawner):
        process.kill()


def kill_supervisor(held: Held) -> None:
    held.supervisor.kill()


def stop_supervisor(held: Held) -> None:
    held.supervisor.suspend()


ENDS = [
    kill_spawner,
    kill_server,
    kill_both,
    stop_spawner_and_kill_server,
    kill_spawner_with_stopped_supervisor,
    kill_both_with_stopped_supervisor,
    kill_supervisor,
    stop_supervisor,
]


@pytest.mark.parametrize("start", [one_shot, worker])
@pytest.mark.parametrize("end", ENDS)
def test_they_end_when_something_that_watches_them_does(
    held: Held, start: Callable[[Held], None], end: Callable[[Held], None]
) -> None:
    start(held)
    end(held)
    assert_gone(held)
    if end in {
        kill_spawner,
        kill_spawner_with_stopped_supervisor,
        kill_supervisor,
        stop_supervisor,
    }:
        assert_serves(held)
        if start is one_shot:
            assert held.status() == "UNAVAILABLE"


@pytest.mark.parametrize("start", [one_shot, worker])
def test_they_end_when_the_spawner_is_stopped(held: Held, start: Callable[[Held], None]) -> None:
    start(held)
    held.spawner.suspend()
    assert_gone(held)
    assert_serves(held)


def test_the_worker_after_a_killed_spawner_is_a_new_one(held: Held) -> None:
    worker(held)
    before = held.leader.pid
    held.spawner.kill()
    assert_gone(held)
    (held.folder / "pid").unlink()
    held.outcomes.clear()
    held.start(worker_action(held, "b"))
    assert held.status() == "OK"
    assert held.leader.pid != before
