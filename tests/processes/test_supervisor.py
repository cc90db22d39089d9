"""Supervisors: how many there are, and what their end means for others."""

from __future__ import annotations

import contextlib
import os
import signal
import sys

import psutil
import pytest

from rpw_fixture.processes.spawner import Spawner
from tests.waiting import until

from .programs import PYTHON, Running, run

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere they are no subreapers")


def supervisors(spawner: Spawner) -> list[psutil.Process]:
    assert spawner.pid is not None
    return psutil.Process(spawner.pid).children()


def supervisor_of(running: Running) -> int:
    return psutil.Process(running.process.pid).ppid()


def test_one_serves_one_program_after_the_other(spawner: Spawner) -> None:
    for number in range(50):
        assert run(spawner, ["/bin/echo", str(number)])[0] == b"%d\n" % number
    assert len(supervisors(spawner)) <= 3


def test_those_with_nothing_to_do_go_after_a_while(spawner: Spawner) -> None:
    with contextlib.ExitStack() as stack:
        for _ in range(10):
            stack.enter_context(Running(spawner, ["/bin/sleep", "60"]))
        assert len(supervisors(spawner)) >= 10
    until(lambda: len(supervisors(spawner)) == 1)
    assert run(spawner, ["/bin/echo", "fine"])[0] == b"fine\n"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_one_that_is_killed_or_stopped_hurts_its_own_program_only(
    spawner: Spawner, number: signal.Signals
) -> None:
    with (
        Running(spawner, ["/bin/sleep", "60"]) as hurt,
        Running(spawner, [*PYTHON, "import os; os.read(0, 1); os.write(1, b'fine')"]) as other,
    ):
        assert supervisor_of(hurt) != supervisor_of(other)
        pid = spawner.pid
        os.kill(supervisor_of(hurt), number)
        ended = hurt.ended()
        assert (ended.lost, ended.survivors) == (True, 0)
        assert "supervisor was killed" in ended.description
        hurt.assert_tree_gone()
        ended = other.ended()
        assert (ended.status, ended.lost) == (0, False)
        assert other.read_all() == b"fine"
        assert spawner.pid == pid


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_idle_ones_that_are_killed_or_stopped_are_replaced(
    spawner: Spawner, number: signal.Signals
) -> None:
    for _ in range(10):
        run(spawner, ["/bin/true"])
        for supervisor in supervisors(spawner):
            with contextlib.suppress(psutil.NoSuchProcess):  # idle ones end by themselves as well
                supervisor.send_signal(number)
        assert run(spawner, ["/bin/echo", "again"])[0] == b"again\n"


def test_a_program_that_kills_its_own_supervisor_does_not_run_on(spawner: Spawner) -> None:
    program = "import os, signal; os.kill(os.getppid(), signal.SIGKILL); signal.pause()"
    with Running(spawner, [*PYTHON, program]) as running:
        assert running.ended().lost
        running.assert_tree_gone()
