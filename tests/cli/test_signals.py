"""How ``serve`` ends: killed, asked to stop, and asked twice. No process outlives it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from rpw_fixture.client import ActionOutcome, Client
from rpw_fixture.client.action import Action
from rpw_fixture.errors import RpwError
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[2]
SAMPLES = ROOT / "sample_workers" / "python"
#: Seconds in which the processes of a killed server must be gone; a bug would leave them without end.
PATIENCE = 30.0
WORKER = """
import os, subprocess, sys
sys.dont_write_bytecode = True
import rpw_worker

def handle(request):
    with open({pids!r}, "a") as file:
        own = subprocess.Popen(["sleep", "71"])
        other = subprocess.Popen(["sleep", "72"], start_new_session=True)
        print(os.getpid(), own.pid, other.pid, file=file, flush=True)
    while "--hang" in request.arguments:
        os.read(os.open({gate!r}, os.O_RDONLY), 1)
    return rpw_worker.WorkResponse()

sys.exit(rpw_worker.main(handle))
"""


@dataclass(frozen=True, kw_only=True)
class Serving:
    """``python -m rpw_fixture serve`` in a separate process."""

    process: subprocess.Popen[str]
    endpoint: str
    folder: Path
    outcomes: list[ActionOutcome | RpwError] = field(default_factory=list)

    @property
    def pids_file(self) -> Path:
        return self.folder / "pids"

    def family(self) -> list[psutil.Process]:
        """All its descendants, and whom the actions noted."""
        noted = self.pids_file.read_text().split() if self.pids_file.exists() else []
        children = psutil.Process(self.process.pid).children(recursive=True)
        return [*children, *(psutil.Process(int(pid)) for pid in noted)]

    def start(self, action: Action) -> threading.Thread:
        """Runs an action in a thread, which ends with an outcome."""

        def run() -> None:
            with Client(self.endpoint) as client:
                try:
                    self.outcomes.append(client.run(action, check=False, timeout=60))
                except RpwError as error:
                    self.outcomes.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Serving]:
    process = subprocess.Popen(
        [sys.executable, "-m", "rpw_fixture", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )
    with process:
        assert process.stdout is not None
        ready = process.stdout.readline()
        assert ready.startswith("RPW_READY ")
        endpoint = json.loads(ready.removeprefix("RPW_READY "))["endpoint"]
        try:
            yield Serving(process=process, endpoint=endpoint, folder=tmp_path)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()


def worker_action(folder: Path, *lines: str) -> Action:
    gate = folder / "gate"
    with contextlib.suppress(FileExistsError):
        os.mkfifo(gate)
    script = WORKER.format(pids=str(folder / "pids"), gate=str(gate))
    return Action(
        arguments=[sys.executable, "tools/worker.py"],
        flagfile=list(lines),
        tool_inputs={
            "tools/worker.py": script,
            "tools/rpw_worker.py": SAMPLES / "rpw_worker.py",
        },
        environment={"PATH": os.environ["PATH"]},
        worker_key="kill",
        timeout=60,
    )


def folders_in(folder: Path) -> list[Path]:
    """Where servers keep their actions and workers."""
    return list(folder.glob("rpw_fixture-*"))


def survivors(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that are alive still when the time is up."""
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    return [each for each in alive if each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize("lines", [[], ["--hang"]], ids=["idle worker", "busy worker"])
def test_a_killed_server_leaves_no_worker_and_no_grandchild_alive(
    serving: Serving, lines: list[str]
) -> None:
    thread = serving.start(worker_action(serving.folder, *lines))
    until(
        lambda: serving.pids_file.exists() and len(serving.pids_file.read_text().split()) == 3,
        "the worker noted its processes",
    )
    if not lines:
        thread.join(20)
    family = serving.family()
    assert len({process.pid for process in family}) >= 4  # the spawner is one of them
    assert folders_in(serving.folder)
    serving.process.kill()
    assert survivors(family) == []
    assert folders_in(serving.folder) == []
    thread.join(30)
    assert not thread.is_alive()


def test_a_killed_server_leaves_no_one_shot_action_alive(serving: Serving) -> None:
    script = f"sleep 73 & setsid sleep 74 & echo $$ $! >> {serving.pids_file}; wait"
    thread = serving.start(Action(arguments=["/bin/sh", "-c", script]))
    until(serving.pids_file.exists, "the action noted its processes")
    until(lambda: len(serving.pids_file.read_text().split()) == 2, "both of them")
    family = serving.family()
    serving.process.kill()
    assert survivors(family) == []
    thread.join(30)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_idle_server_ends_with_0_and_removes_its_folders(
    serving: Serving, number: signal.Signals
) -> None:
    serving.start(worker_action(serving.folder)).join(20)
    family = serving.family()
    serving.process.send_signal(number)
    out, err = serving.process.communicate(timeout=20)
    assert (serving.process.returncode, out, err) == (0, "", "")
    assert survivors(family) == []
    left = {path.name for path in serving.folder.iterdir()}
    assert left == {"pids", "gate"}


def test_a_running_action_ends_before_the_server_does(serving: Serving) -> None:
    gate = serving.folder / "wait"
    os.mkfifo(gate)
    started = serving.folder / "started"
    script = f"touch {started}; read _ < {gate}; echo done"
    thread = serving.start(Action(arguments=["/bin/sh", "-c", script]))
    until(started.exists, "the action runs")
    serving.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        serving.process.wait(0.3)
    gate.write_text("\n")
    assert serving.process.wait(20) == 0
    thread.join(20)
    (outcome,) = serving.outcomes
    assert isinstance(outcome, ActionOutcome)
    assert outcome.stdout == b"done\n"


def test_an_action_that_does_not_end_is_cancelled_after_the_grace_period(serving: Serving) -> None:
    thread = serving.start(
        Action(arguments=["/bin/sh", "-c", f"echo $$ > {serving.pids_file}; sleep 75"])
    )
    until(lambda: serving.pids_file.exists() and serving.pids_file.read_text(), "it runs")
    family = serving.family()
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(30) == 0
    assert survivors(family) == []
    thread.join(30)
    (outcome,) = serving.outcomes
    assert isinstance(outcome, ActionOutcome)
    assert outcome.status == "UNAVAILABLE"
    assert outcome.message == "the server is stopping"


def test_a_second_signal_ends_the_server_at_once(serving: Serving) -> None:
    thread = serving.start(worker_action(serving.folder, "--hang"))
    until(
        lambda: serving.pids_file.exists() and len(serving.pids_file.read_text().split()) == 3,
        "the worker noted its processes",
    )
    family = serving.family()
    serving.process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        serving.process.wait(0.3)
    serving.process.send_signal(signal.SIGTERM)
    assert serving.process.wait(PATIENCE) != 0
    assert survivors(family) == []
    thread.join(30)
