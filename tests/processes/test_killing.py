"""The end of processes: whole trees are killed, whichever part ends, and no process is left alive."""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rpw_fixture.processes import process_tree, spawner_link
from rpw_fixture.processes.spawner import Spawner, StartError, SurvivorsError
from tests.watched_process import readable

from .programs import BOMB, DAEMON, PYTHON, Running, await_end, run


def test_a_background_child_ends_with_its_leader(spawner: Spawner) -> None:
    with Running(spawner, ["/bin/sh", "-c", "/bin/sleep 60 & exit 4"]) as running:
        ended = running.ended()
        running.assert_tree_gone()
    assert (ended.status, ended.leftovers_killed) == (4, 1)


def test_a_daemon_in_a_separate_session_ends_with_its_leader(spawner: Spawner) -> None:
    with Running(spawner, [*PYTHON, DAEMON]) as running:
        assert running.read_until(7) == b"daemon\n"
        ended = running.ended()
        running.assert_tree_gone()
    assert (ended.status, ended.leftovers_killed) == (0, 1)


def test_a_daemon_survives_the_end_of_another_process(spawner: Spawner) -> None:
    with Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]) as running:
        running.read_until(7)
        run(spawner, ["/bin/true"])
        assert running.process.poll() is None
        running.process.kill_tree()
        assert running.ended().leftovers_killed == 1
        running.assert_tree_gone()


def test_terminate_reaches_the_group_and_a_stubborn_tree_needs_kill_tree(spawner: Spawner) -> None:
    program = "trap '' TERM; (echo a; while :; do /bin/sleep 60; done) & echo b; wait; wait"
    with Running(spawner, ["/bin/sh", "-c", program]) as running:
        running.read_until(4)
        running.process.terminate()
        assert running.process.wait(0.05) is None
        running.process.kill_tree()
        ended = running.ended()
        running.assert_tree_gone()
    assert ended.status == -signal.SIGKILL
    assert ended.leftovers_killed >= 1


def test_terminate_lets_a_process_end_by_itself(spawner: Spawner) -> None:
    program = "trap 'echo bye; exit 7' TERM; echo up; while :; do /bin/sleep 60 & wait; done"
    with Running(spawner, ["/bin/sh", "-c", program]) as running:
        running.read_until(3)
        running.process.terminate()
        assert running.ended().status == 7


def test_closing_a_process_that_runs_kills_its_tree(spawner: Spawner) -> None:
    with Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]) as running:
        running.read_until(7)
        running.process.close()
        assert running.read() == b""
        assert running.process.poll() is None


@pytest.mark.parametrize("ending", ["signal.pause()", ""], ids=["killed", "leader exits"])
def test_three_hundred_processes_that_keep_forking_die(spawner: Spawner, ending: str) -> None:
    with Running(spawner, [*PYTHON, BOMB + ending]) as running:
        running.read_until(1000)
        running.process.kill_tree()
        assert running.ended().survivors == 0
        running.assert_tree_gone()


def test_close_kills_everything_and_ends_the_spawner() -> None:
    with Spawner() as spawner, contextlib.ExitStack() as stack:
        trees = [
            stack.enter_context(Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]))
            for _ in range(5)
        ]
        for running in trees:
            running.read_until(7)
        pid = spawner.pid
        spawner.close()
        assert pid is not None
        assert not Path(f"/proc/{pid}").exists()
        for running in trees:
            running.assert_tree_gone()
            assert running.ended().status == -signal.SIGKILL
        spawner.close()


def test_a_closed_spawner_refuses_to_start_anything() -> None:
    spawner = Spawner()
    spawner.close()
    with pytest.raises(StartError, match="the spawner is closed"):
        run(spawner, ["/bin/true"])


SERVER = """
import os, signal, sys, threading
sys.path.insert(0, sys.argv[1])
from rpw_fixture.processes.spawner import Spawner
spawner = Spawner()
process = spawner.spawn(
    executable=sys.executable, argv=[sys.executable, "-I", "-S", "-c", sys.argv[2]],
    env={}, cwd="/", stdin=0, stdout=1, stderr=2,
)
if sys.argv[3] == "copy" and os.fork() == 0:
    os.close(1)
    os.read(0, 1)
    os._exit(0)
signal.pause()
"""


@pytest.mark.parametrize("copy", ["", "copy"], ids=["alone", "with a forked copy of the server"])
def test_killing_the_server_leaves_no_process_alive(copy: str) -> None:
    root = str(Path(__file__).parents[2])
    with subprocess.Popen(
        [sys.executable, "-c", SERVER, root, DAEMON + "signal.pause()", copy],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as server:
        assert server.stdout is not None
        assert readable(server.stdout.fileno())
        assert os.read(server.stdout.fileno(), 100) == b"daemon\n"
        server.kill()
        # The worker and its daemon hold the pipe.
        assert readable(server.stdout.fileno(), 2.0)
        assert os.read(server.stdout.fileno(), 1) == b""


def test_after_a_stranger_killed_the_spawner_its_trees_are_killed_and_lost(
    spawner: Spawner,
) -> None:
    with (
        Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]) as first,
        Running(spawner, [*PYTHON, DAEMON + "signal.pause()"]) as second,
    ):
        first.read_until(7)
        second.read_until(7)
        killed = spawner.pid
        assert killed is not None
        os.kill(killed, signal.SIGKILL)
        ended = first.ended()
        assert ended.lost
        assert "spawner or supervisor was killed" in ended.description
        for running in (first, second):
            assert running.read() == b""
        assert second.ended().lost
        first.process.kill_tree()
        assert run(spawner, ["/bin/echo", "again"])[0] == b"again\n"
        assert spawner.pid != killed


def test_a_spawn_right_after_the_spawner_was_killed_works(spawner: Spawner) -> None:
    for _ in range(5):
        run(spawner, ["/bin/true"])
        assert spawner.pid is not None
        os.kill(spawner.pid, signal.SIGKILL)
        assert run(spawner, ["/bin/echo", "again"])[0] == b"again\n"


def test_signals_of_a_terminal_do_not_end_the_spawner(spawner: Spawner) -> None:
    run(spawner, ["/bin/true"])
    pid = spawner.pid
    assert pid is not None
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        os.kill(pid, number)
    assert run(spawner, ["/bin/echo", "fine"])[0] == b"fine\n"
    assert spawner.pid == pid


def test_a_forgotten_process_is_reported_and_killed(spawner: Spawner) -> None:
    def forget(running: Running) -> None:
        del running.process
        gc.collect()

    running = Running(spawner, ["/bin/sleep", "60"])
    with pytest.warns(ResourceWarning, match="unclosed process"):
        forget(running)
    assert running.read() == b""
    os.close(running.output)


# A spawner for which some processes are those of another user: no signal reaches them.
POWERLESS = """
import runpy, sys
sys.path.append({folder!r})
import process_tree

def is_foreign(pid):
    return b"of another user" in process_tree._read(f"/proc/{{pid}}/cmdline")

send = process_tree.send
process_tree.send = lambda pid, number: not is_foreign(pid) and send(pid, number)
process_tree.send_group = lambda group, number: False
runpy.run_path({program!r}, run_name="__main__")
"""
FOREIGN = """
import os, signal, sys
if os.fork() == 0:
    os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", sys.argv[1], "of another user"])
os.read(0, 1)
"""
TELLING = "import os, signal; os.write(1, b'%d\\n' % os.getpid()); signal.pause()"


@pytest.fixture
def powerless(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Spawner]:
    program = Path(spawner_link._PROGRAM)
    script = tmp_path / "powerless.py"
    script.write_text(POWERLESS.format(folder=str(program.parent), program=str(program)))
    monkeypatch.setattr(spawner_link, "_PROGRAM", str(script))
    with Spawner() as spawner:
        yield spawner


def test_a_process_that_can_not_be_killed_is_reported_and_delays_no_other(
    powerless: Spawner,
) -> None:
    with Running(powerless, [*PYTHON, FOREIGN, TELLING]) as running:
        foreign = int(running.read_until(2))
        ended = running.process.wait(5)  # the spawner gives up after 10 seconds only
        assert ended is not None
        assert (ended.status, ended.leftovers_killed, ended.survivors) == (0, 0, 1)
        assert run(powerless, ["/bin/echo", "fine"])[0] == b"fine\n"
        os.kill(foreign, signal.SIGKILL)
        await_end(foreign)
        running.assert_tree_gone()


def test_closing_says_what_can_not_be_killed(
    powerless: Spawner, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Running(powerless, [*PYTHON, FOREIGN, TELLING]) as running:
        foreign = int(running.read_until(2))
        assert running.ended().survivors == 1
        with monkeypatch.context() as patch:
            patch.setattr(process_tree, "send", lambda _pid, _number: False)
            patch.setattr(process_tree, "send_group", lambda _pid, _number: False)
            with pytest.raises(SurvivorsError, match="could not be killed"):
                powerless.close()
        os.kill(foreign, signal.SIGKILL)
        await_end(foreign)
