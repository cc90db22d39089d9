"""When a worker ends: budgets, timeouts, and dying at the wrong moment; each with its reason."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from rpw_fixture.errors import ConfigError
from rpw_fixture.events.kinds import ActionRetried, RequestSent, WorkerRetired, WorkerStarted
from rpw_fixture.pytest_plugin import MakeServer

from .worker_actions import (
    MULTIPLEX,
    SANDBOX,
    Running,
    action,
    compile_action,
    probe_action,
    run_all,
    seen,
    until,
    wait_for,
)

SLEEPER = """
import sys, time
print("I take my time", file=sys.stderr, flush=True)
time.sleep(1000)
"""


def test_a_worker_ends_after_its_budget_of_requests(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(worker_max_requests=3)
    workers = [server.run(probe_action()).worker for _ in range(7)]

    assert workers == [1, 1, 1, 2, 2, 2, 3]
    until(lambda: len(server.events.of(WorkerRetired)) == 2)
    assert {(each.reason, each.requests) for each in server.events.of(WorkerRetired)} == {
        ("request budget", 3)
    }


def test_a_multiplex_worker_ends_after_its_budget_too(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(jobs=8, worker_max_requests=5, max_multiplex=8)
    actions = [
        probe_action(platform=SANDBOX, startup=["--multiplex"], salt=bytes([n])) for n in range(20)
    ]
    assert all(each.ok for each in run_all(server, actions))
    for worker in server.events.of(WorkerStarted):
        sent = [each for each in server.events.of(RequestSent) if each.worker == worker.worker]
        assert len(sent) <= 5
    assert len(server.events.of(WorkerStarted)) == 4


def test_an_idle_worker_ends_after_the_idle_timeout(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(worker_idle_timeout=0.1)
    pid = seen(server.run(probe_action()))["pid"]
    retired = wait_for(server, WorkerRetired)

    assert (retired.worker, retired.reason, retired.exit_status) == (1, "idle timeout", 0)
    assert not psutil.pid_exists(pid)
    assert server.run(probe_action()).worker == 2


def test_a_busy_worker_is_not_idle(make_rpw_server: MakeServer, tmp_path: Path) -> None:
    server = make_rpw_server(worker_idle_timeout=0.05, max_workers=4)
    started, gate = tmp_path / "started", tmp_path / "gate"
    running = Running(
        server, probe_action("--started", str(started), "--wait-for", str(gate), salt=b"x")
    )
    until(started.exists)
    # Another worker that is idle meanwhile shows that the janitor has looked.
    server.run(probe_action(worker_key="other"))
    assert wait_for(server, WorkerRetired).worker == 2
    gate.touch()
    assert seen(running.result())


@pytest.mark.parametrize("platform", [{}, MULTIPLEX], ids=["singleplex", "multiplex"])
def test_a_worker_that_grew_too_large_ends(
    make_rpw_server: MakeServer, platform: dict[str, str]
) -> None:
    server = make_rpw_server(worker_max_rss=120 << 20)
    startup = ["--multiplex"] if platform else []
    small = probe_action(platform=platform, startup=startup)
    assert [server.run(small).worker for _ in range(2)] == [1, 1]
    server.run(probe_action("--eat", "160", platform=platform, startup=startup))

    retired = wait_for(server, WorkerRetired)
    assert (retired.worker, retired.reason) == (1, "memory budget")
    assert server.run(small).worker == 2


def test_a_worker_that_grows_while_it_works_ends_after_its_request(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(worker_max_rss=120 << 20)
    server.run(probe_action("--eat", "1"))
    big = probe_action("--eat", "160", "--started", str(tmp_path / "s"), worker_key="big")
    assert server.run(big).ok
    retired = wait_for(server, WorkerRetired)
    assert (retired.worker, retired.reason) == (2, "memory budget")


@pytest.mark.parametrize("platform", [{}, MULTIPLEX], ids=["singleplex", "multiplex"])
def test_a_worker_that_does_not_begin_to_read_in_time_fails_its_first_action(
    make_rpw_server: MakeServer, platform: dict[str, str]
) -> None:
    server = make_rpw_server(worker_start_timeout=0.3)
    lazy = action("slow.py", tool_inputs={"tools/slow.py": SLEEPER}, platform=platform)
    outcome = server.run(lazy, check=False)

    assert outcome.status == "FAILED_PRECONDITION"
    assert "start timeout: it did not begin to read its first request within 0.3 s" in (
        outcome.message
    )
    assert "I take my time" in outcome.message
    assert wait_for(server, WorkerRetired).reason == "start timeout"


def test_the_start_timeout_is_about_the_start_only(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(worker_start_timeout=0.5)
    # It reads at once and then works for longer than the start may take.
    late = probe_action("--wait-for", str(tmp_path / "never"), timeout=1.0)
    assert server.run(probe_action()).ok
    assert server.run(late, check=False).status == "DEADLINE_EXCEEDED"


def test_a_worker_that_died_between_requests_costs_no_action(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server()
    for expected in range(1, 6):
        outcome = server.run(probe_action())
        assert outcome.worker == expected
        os.kill(seen(outcome)["pid"], signal.SIGKILL)
    assert server.run(probe_action()).ok
    until(lambda: len(server.events.of(WorkerRetired)) == 5)
    assert {each.reason for each in server.events.of(WorkerRetired)} == {"ended between requests"}


def test_a_worker_that_left_by_itself_between_requests_costs_no_action(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server()
    for _ in range(5):
        outcome = server.run(probe_action())
        os.kill(seen(outcome)["pid"], signal.SIGTERM)
    assert server.run(probe_action()).ok


def test_a_worker_that_dies_at_every_start_fails_the_action_at_once(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server()
    broken = action("exit.py", tool_inputs={"tools/exit.py": "import sys; sys.exit('no licence')"})
    outcome = server.run(broken, check=False)

    assert outcome.status == "FAILED_PRECONDITION"
    assert "crash" in outcome.message
    assert "exit status 1" in outcome.message
    assert "no licence" in outcome.message
    assert len(server.events.of(WorkerStarted)) == 1


@pytest.mark.parametrize("status", ["0", "3", "-9"])
def test_a_worker_that_dies_inside_a_request_fails_that_action_only(
    make_rpw_server: MakeServer, status: str
) -> None:
    server = make_rpw_server()
    startup = [f"--exit-status={status}", "--after=1"]
    first = server.run(compile_action("a", script="crashing.py", startup=startup))
    second = server.run(compile_action("b", script="crashing.py", startup=startup), check=False)
    third = server.run(compile_action("c", script="crashing.py", startup=startup))

    assert (first.worker, third.worker) == (1, 2)
    assert second.status == "FAILED_PRECONDITION"
    assert "crash" in second.message
    assert "the native library gave up" in second.message
    assert server.events.of(ActionRetried) == []


def test_a_crashed_action_can_be_tried_once_more_and_the_record_says_so(
    make_rpw_server: MakeServer,
) -> None:
    server = make_rpw_server(retry_crashed_worker=True)
    startup = ["--after=1"]
    server.run(compile_action("a", script="crashing.py", startup=startup))
    again = server.run(compile_action("b", script="crashing.py", startup=startup))

    assert again.outputs["out/b"].startswith(b"TEXT B\n")
    assert again.worker == 2
    (retried,) = server.events.of(ActionRetried)
    assert (retried.operation, retried.worker) == (again.operation, 1)
    assert retried.reason.startswith("crash: ")
    assert retried.reason.endswith("(retry_crashed_worker)")


def test_a_crash_is_tried_again_once_and_no_more(make_rpw_server: MakeServer) -> None:
    server = make_rpw_server(retry_crashed_worker=True)
    outcome = server.run(compile_action("a", script="crashing.py", protocol="proto"), check=False)

    assert outcome.status == "FAILED_PRECONDITION"
    assert len(server.events.of(WorkerStarted)) == 2
    assert len(server.events.of(ActionRetried)) == 1


def test_settings_of_the_pool_are_checked() -> None:
    from rpw_fixture.config import Config

    for bad in ({"when_full": "explode"}, {"worker_start_timeout": -1.0}, {"max_multiplex": 0}):
        with pytest.raises(ConfigError, match=next(iter(bad))):
            Config(**bad)
