"""Taking requests back: cancel messages, workers that do not obey, and slots that come back."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil
import pytest

from rpw_fixture.client.action import Action
from rpw_fixture.errors import RequestError
from rpw_fixture.events.kinds import (
    ProtocolViolation,
    RequestCancelled,
    ResponseReceived,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.pytest_plugin import MakeServer

from .worker_actions import (
    CANCELLATION,
    MULTIPLEX,
    SANDBOX,
    Running,
    begun,
    held,
    probe_action,
    run_all,
    seen,
    until,
    wait_for,
)

CANCELLABLE = {**SANDBOX, **CANCELLATION}


def asking(how: str = "obey", platform: Mapping[str, str] = CANCELLABLE) -> dict[str, Any]:
    """Of the probe: what it may be asked, and ``how`` it takes a cancel."""
    return {"platform": platform, "startup": ["--multiplex", f"--on-cancel={how}"]}


def probe(**how: Any) -> Action:
    return probe_action(**asking(**how))


def test_a_cancelled_operation_sends_a_cancel_and_the_worker_lives_on(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(cancel_grace=30.0)
    running = begun(server, tmp_path, "x", **asking())
    running.cancel()

    assert running.result().status == "CANCELLED"
    record = wait_for(server, RequestCancelled)
    assert (record.worker, record.request_id, record.reason) == (1, 1, "CANCELLED")
    after = server.run(probe())
    assert (after.worker, seen(after)["request_id"]) == (1, 2)


def test_a_cancelled_singleplex_request_is_answered_and_the_worker_lives_on(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    # A multiplex loop reads on while it works, which is what it takes to hear of a cancel; to the
    # server it is a singleplex worker, with request_id 0.
    server = make_rpw_server(cancel_grace=30.0)
    running = begun(server, tmp_path, "x", **asking(platform=CANCELLATION))
    running.cancel()

    assert running.result().status == "CANCELLED"
    record = wait_for(server, RequestCancelled)
    assert (record.worker, record.request_id) == (1, 0)
    assert server.run(probe(platform=CANCELLATION)).worker == 1


def test_a_worker_that_takes_no_cancel_is_killed_when_it_serves_one_at_a_time(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(cancel_grace=30.0)
    running = begun(server, tmp_path, "x", **asking(platform={}))
    running.cancel()

    assert running.result().status == "CANCELLED"
    gone = wait_for(server, WorkerRetired)
    assert (gone.worker, gone.reason, gone.exit_status) == (1, "cancelled", -9)
    assert server.run(probe(platform={})).worker == 2


def test_a_normal_answer_after_the_cancel_is_dropped(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(cancel_grace=30.0)
    running = begun(server, tmp_path, "x", **asking(how="answer"))
    running.cancel()

    assert running.result().status == "CANCELLED"
    wait_for(server, RequestCancelled)
    assert server.run(probe(how="answer")).worker == 1
    assert len(server.events.of(ResponseReceived)) == 1
    assert server.events.of(ProtocolViolation) == []


def test_a_second_answer_after_the_cancel_is_a_violation(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(cancel_grace=30.0)
    running = begun(server, tmp_path, "x", **asking(how="twice"))
    bystander = begun(server, tmp_path, "y", **asking(how="twice"))
    running.cancel()

    outcome = bystander.result()
    assert outcome.status == "FAILED_PRECONDITION"
    assert "unexpected response: a second response to request 1 came" in outcome.message
    assert running.result().status == "CANCELLED"
    assert server.run(probe(how="twice")).worker == 2


@pytest.mark.parametrize("how", ["ignore", "obey"])
def test_a_timeout_asks_the_worker_to_give_up_before_it_kills_it(
    make_rpw_server: MakeServer, tmp_path: Path, how: str
) -> None:
    server = make_rpw_server(cancel_grace=0.2 if how == "ignore" else 30.0)
    late = server.run(held(tmp_path, "x", timeout=0.5, **asking(how)), check=False)

    assert late.status == "DEADLINE_EXCEEDED"
    assert server.run(probe(how=how)).worker == (2 if how == "ignore" else 1)


def test_a_worker_that_ignores_the_cancel_is_killed_after_the_grace_period(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(cancel_grace=0.2)
    pid = seen(server.run(probe(how="ignore")))["pid"]
    running = begun(server, tmp_path, "x", **asking(how="ignore"))
    bystander = begun(server, tmp_path, "y", **asking(how="ignore"))
    running.cancel()

    outcome = bystander.result()
    assert outcome.status == "FAILED_PRECONDITION", "its own time was not over"
    assert "ignored the cancel message for request 2" in outcome.message
    assert running.result().status == "CANCELLED"
    wait_for(server, WorkerRetired)
    assert not psutil.pid_exists(pid)
    assert server.run(probe(how="ignore")).worker == 2


def test_without_cancel_messages_a_cancelled_request_ends_with_its_answer(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(cancel_grace=0.05)
    running = begun(server, tmp_path, "x", **asking(platform=SANDBOX))
    bystander = begun(server, tmp_path, "y", **asking(platform=SANDBOX))
    running.cancel()
    assert running.result().status == "CANCELLED"

    (tmp_path / "gate").touch()
    assert seen(bystander.result())["request_id"] == 2
    wait_for(server, RequestCancelled)
    assert len(server.events.of(WorkerStarted)) == 1


def test_without_cancel_messages_a_worker_whose_requests_are_all_cancelled_is_killed(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(cancel_grace=0.1)
    running = [begun(server, tmp_path, name, **asking(platform=SANDBOX)) for name in ("x", "y")]
    for each in running:
        each.cancel()

    assert [each.result().status for each in running] == ["CANCELLED"] * 2
    assert wait_for(server, WorkerRetired).reason == "cancelled"
    assert server.run(probe(platform=SANDBOX)).worker == 2


@pytest.mark.parametrize("how", ["obey", "answer", "ignore"])
def test_every_slot_comes_back_after_cancels(
    make_rpw_server: MakeServer, tmp_path: Path, how: str
) -> None:
    server = make_rpw_server(jobs=8, max_multiplex=4, cancel_grace=0.2 if how == "ignore" else 30.0)
    for turn in range(3):
        names = [f"{turn}-{n}" for n in range(4)]
        running = [begun(server, tmp_path, n, **asking(how=how)) for n in names]
        for each in running:
            each.cancel()
        assert {each.result().status for each in running} == {"CANCELLED"}

    outcomes = run_all(server, [probe(how=how).replace(salt=bytes([n])) for n in range(8)])
    assert all(each.ok for each in outcomes), outcomes


def test_a_cancel_while_waiting_for_a_worker_does_not_use_up_a_worker(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(max_workers=1, jobs=4)
    first = begun(server, tmp_path, "x", **asking(platform={}))
    second = Running(server, probe(platform={}))
    second.operation  # noqa: B018 - waits until it has a name
    second.cancel()
    assert second.result().status == "CANCELLED"

    (tmp_path / "gate").touch()
    assert first.result().ok
    assert server.run(probe(platform={})).worker == 1


def test_stopping_the_server_ends_a_worker_that_never_answers(
    make_rpw_server: MakeServer, tmp_path: Path
) -> None:
    server = make_rpw_server(cancel_grace=0.1)
    with server.connect() as client:
        running = Running(server, held(tmp_path, "x", **asking(platform=MULTIPLEX)), client)
        until((tmp_path / "x").exists)
        server.stop(grace=0)
        with contextlib.suppress(RequestError):  # the connection may be closed before the answer
            assert running.result().status == "UNAVAILABLE"
    assert [each.worker for each in server.events.of(WorkerRetired)] == [1]


@pytest.mark.parametrize("platform", [CANCELLABLE, SANDBOX, {}], ids=["asked", "awaited", "killed"])
def test_a_reset_takes_no_longer_than_cancelling_does(
    make_rpw_server: MakeServer, tmp_path: Path, platform: dict[str, str]
) -> None:
    server = make_rpw_server(cancel_grace=0.2)
    running = begun(server, tmp_path, "x", **asking(platform=platform))
    began = time.monotonic()
    server.reset()

    # Far below the time after which a reset gives up waiting for workers.
    assert time.monotonic() - began < 8
    assert running.result().status == "CANCELLED"
    fresh = seen(server.run(probe(platform=platform)))
    assert fresh["served"] == 1
