"""Commands that take apart what a process has outside of its tree."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from rpw_fixture.processes.spawner import Process, Spawner
from tests.waiting import until

DEADLINE = 30.0
# Its child waits to be reaped while its grandchild says that it is there.
ORPHANING = """
import os, signal
if os.fork() == 0:
    if os.fork() == 0:
        os.write(1, b"up")
        while True: signal.pause()
    os._exit(0)
os.wait()
while True: signal.pause()
"""


def start(
    spawner: Spawner, script: str, output: int, teardown: list[str] | None = None, **env: str
) -> Process:
    null = os.open(os.devnull, os.O_RDWR)
    try:
        return spawner.spawn(
            executable="/bin/sh",
            argv=["sh", "-c", script],
            env={"PATH": os.defpath, **env},
            cwd="/",
            stdin=null,
            stdout=output,
            stderr=null,
            teardown=teardown,
        )
    finally:
        os.close(null)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    """A file that teardowns write to."""
    return tmp_path / "note"


def noting(note: Path, words: str = "done") -> list[str]:
    return ["/bin/sh", "-c", f"echo {words} $WORD >> {note}"]


@pytest.mark.parametrize("way", ["end", "kill"])
def test_a_teardown_has_run_once_when_the_end_is_reported(way: str, note: Path) -> None:
    with (
        Spawner() as spawner,
        start(
            spawner, "exit 4" if way == "end" else "sleep 100", 2, noting(note), WORD="x"
        ) as process,
    ):
        if way == "kill":
            process.kill_tree()
        ended = process.wait(DEADLINE)
        assert ended is not None
        assert ended.status == (4 if way == "end" else -signal.SIGKILL)
        assert note.read_text() == "done x\n"


def test_a_teardown_finds_the_process_dead_and_its_children_alive(note: Path) -> None:
    # No ps: images of Python, the slim ones, have none.
    states = f"for pid in $(tr , ' ' < {note}.pids); do cut -d ' ' -f 1,3 /proc/$pid/stat; done"
    look = ["/bin/sh", "-c", f"{{ {states}; }} > {note}"]
    with Spawner() as spawner:
        script = f"sleep 1234 & echo $$,$! > {note}.part; mv {note}.part {note}.pids; wait"
        with start(spawner, script, 2, look) as process:
            until(Path(f"{note}.pids").exists)
            process.kill_tree()
            assert process.wait(DEADLINE) is not None
    _, child = Path(f"{note}.pids").read_text().strip().split(",")
    states_by_pid = dict(line.split() for line in note.read_text().splitlines())
    assert [pid for pid, state in states_by_pid.items() if state != "Z"] == [child]


def test_a_teardown_waits_for_a_process_that_takes_long_to_die(note: Path) -> None:
    large = f"import time; memory = b'x' * (256 << 20); open('{note}.up', 'w'); time.sleep(1000)"
    state = "read -r pid; read -r _ _ state _ < /proc/$pid/stat; echo $state"
    look = ["/bin/sh", "-c", f"{{ {state}; }} < {note}.pid > {note}"]
    with (
        Spawner() as spawner,
        start(spawner, f'exec {sys.executable} -I -S -c "{large}"', 2, look) as process,
    ):
        Path(f"{note}.pid").write_text(f"{process.pid}\n")
        until(Path(f"{note}.up").exists)
        process.kill_tree()
        assert process.wait(DEADLINE) is not None
    assert note.read_text().strip() in {"", "Z"}  # gone, or a zombie


def test_closing_the_spawner_takes_everything_apart(note: Path) -> None:
    with Spawner() as spawner:
        processes = [start(spawner, "sleep 100", 2, noting(note)) for _ in range(5)]
    for process in processes:
        process.close()
    assert note.read_text() == "done\n" * 5


def test_the_death_of_the_server_takes_everything_apart(note: Path) -> None:
    script = f"""
import os, signal
from rpw_fixture.processes.spawner import Spawner
spawner = Spawner()
teardown = ["/bin/sh", "-c", "echo done > {note}"]
process = spawner.spawn(executable="/bin/sleep", argv=["sleep", "100"], env={{}}, cwd="/",
                        stdin=0, stdout=1, stderr=2, teardown=teardown)
os.kill(os.getpid(), signal.SIGKILL)
"""
    with subprocess.Popen(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,  # which the spawner keeps open
    ) as server:
        assert server.stdout is not None
        assert server.stdout.read() == b""
    assert note.read_text() == "done\n"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a supervisor is no subreaper")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_a_killed_supervisor_has_its_process_taken_apart_as_well(note: Path, number: int) -> None:
    with Spawner() as spawner, start(spawner, "sleep 100", 2, noting(note)) as process:
        supervisor = psutil.Process(process.pid).ppid()
        assert supervisor != spawner.pid
        os.kill(supervisor, number)
        ended = process.wait(DEADLINE)
        assert ended is not None
        assert ended.lost
        until(note.exists)
    assert note.read_text() == "done\n"


def test_a_teardown_that_can_not_be_started_keeps_nothing_alive(note: Path) -> None:
    with Spawner() as spawner, start(spawner, "sleep 100", 2, [str(note)]) as process:
        process.kill_tree()
        ended = process.wait(DEADLINE)
    assert ended is not None
    assert ended.status == -signal.SIGKILL


def test_what_a_teardown_leaves_behind_is_killed(note: Path) -> None:
    reading, writing = os.pipe()
    with Spawner() as spawner:
        with start(
            spawner, "exit 0", writing, ["/bin/sh", "-c", f"sleep 100 & echo $! > {note}"]
        ) as process:
            os.close(writing)
            ended = process.wait(DEADLINE)
        assert ended is not None
        assert ended.leftovers_killed == 1
    os.close(reading)
    assert not Path(f"/proc/{note.read_text().strip()}").exists()


def test_a_child_that_its_stopped_parent_reaps_does_not_delay_the_end() -> None:
    reading, writing = os.pipe()
    null = os.open(os.devnull, os.O_RDWR)
    try:
        with Spawner() as spawner:
            for _ in range(40):
                with spawner.spawn(
                    executable=sys.executable,
                    argv=[sys.executable, "-I", "-S", "-c", ORPHANING],
                    env={},
                    cwd="/",
                    stdin=null,
                    stdout=writing,
                    stderr=null,
                ) as process:
                    assert os.read(reading, 2) == b"up"
                    process.kill_tree()
                    # Without help it takes the 10 seconds after which the spawner gives up.
                    assert process.wait(8) is not None
    finally:
        for each in (reading, writing, null):
            os.close(each)
