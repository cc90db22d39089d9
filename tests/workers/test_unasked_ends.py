"""Ends of workers that no request brings about, or that several causes could explain."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil
import pytest

from rpw_fixture.events.kinds import RequestCancelled, WorkerRetired, WorkerStarted
from rpw_fixture.pytest_plugin import MakeServer
from rpw_fixture.workers import resident_memory

from .worker_actions import MULTIPLEX, MUX, begun, probe_action, seen, until, wait_for

KINDS = pytest.mark.parametrize(
    ("platform", "startup"), [({}, {}), (MULTIPLEX, MUX)], ids=["singleplex", "multiplex"]
)


@KINDS
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_death_of_an_idle_worker_is_noticed_without_a_next_request(
    make_rpw_server: MakeServer, platform: dict[str, str], startup: dict, number: signal.Signals
) -> None:
    server = make_rpw_server()
    outcome = server.run(probe_action(platform=platform, **startup))
    os.kill(seen(outcome)["pid"], number)

    retired = wait_for(server, WorkerRetired)
    assert (retired.worker, retired.reason) == (1, "ended between requests")
    assert retired.exit_status == -number
    assert retired.requests == 1
    assert len(server.events.of(WorkerStarted)) == 1


@KINDS
def test_a_crash_is_recorded_as_a_crash_and_a_cancel_as_a_cancel(
    make_rpw_server: MakeServer, tmp_path: Path, platform: dict[str, str], startup: dict
) -> None:
    server = make_rpw_server(jobs=4, cancel_grace=0.1, max_workers=4, max_workers_per_key=4)
    crashed = begun(server, tmp_path, "crashed", platform=platform, worker_key="a", **startup)
    cancelled = begun(server, tmp_path, "cancelled", platform=platform, worker_key="b", **startup)
    workers = {each.worker: each for each in server.events.of(WorkerStarted)}
    sent = crashed.wait_until_sent().worker
    os.kill(workers[sent].pid, signal.SIGKILL)
    assert crashed.result().status == "FAILED_PRECONDITION"
    cancelled.cancel()
    assert cancelled.result().status == "CANCELLED"

    until(lambda: len(server.events.of(WorkerRetired)) == 2)
    reasons = {each.worker: each.reason for each in server.events.of(WorkerRetired)}
    assert reasons.pop(sent) == "crash"
    assert set(reasons.values()) == {"cancelled"}
    assert server.events.of(RequestCancelled) == []  # no worker can be used again


# --- measuring ---


class Gone(psutil.Process):
    """A process, or its child, that ends between being found and being measured."""

    def memory_info(self) -> object:
        raise psutil.NoSuchProcess(self.pid)


def test_what_ends_while_it_is_measured_counts_nothing(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    mine = psutil.Process().memory_info().rss
    monkeypatch.setattr(psutil.Process, "children", lambda _, **__: [Gone(os.getpid())])
    assert mine / 2 < resident_memory.resident_bytes(os.getpid()) < mine * 2

    monkeypatch.setattr(psutil, "Process", Gone)
    assert resident_memory.resident_bytes(os.getpid()) == 0

    def vanish(_: psutil.Process, **__: object) -> list[psutil.Process]:
        raise psutil.NoSuchProcess(os.getpid())

    monkeypatch.setattr(Gone, "children", vanish)
    assert resident_memory.resident_bytes(os.getpid()) == 0
    assert caplog.records == []  # a limit is kept all the same


def test_a_worker_that_ends_while_it_is_measured_harms_no_other(
    make_rpw_server: MakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_rpw_server(worker_max_rss=120 << 20)
    first = server.run(probe_action(worker_key="first"))
    gone = seen(first)["pid"]
    measure = psutil.Process.memory_info

    def end(process: psutil.Process) -> object:
        if process.pid == gone:
            os.kill(gone, signal.SIGKILL)
            until(lambda: process.status() == psutil.STATUS_ZOMBIE or not process.is_running())
            raise psutil.NoSuchProcess(gone)
        return measure(process)

    monkeypatch.setattr(psutil.Process, "memory_info", end)
    server.run(probe_action("--eat", "160", worker_key="big"))

    until(lambda: len(server.events.of(WorkerRetired)) == 2)
    reasons = {each.worker: each.reason for each in server.events.of(WorkerRetired)}
    assert reasons == {1: "ended between requests", 2: "memory budget"}
