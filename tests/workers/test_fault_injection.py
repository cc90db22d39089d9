"""Workers that an armed fault kills, inside a request or between two."""

from __future__ import annotations

import signal

import pytest

from rpw_fixture import ActionFailedError, Server
from rpw_fixture.events.kinds import WorkerRetired
from tests.faults.bare_calls import compiled


def retirements(server: Server) -> list[tuple[int, str, int | None]]:
    return [
        (each.worker, each.reason, each.exit_status) for each in server.events.of(WorkerRetired)
    ]


def test_a_worker_killed_inside_a_request_fails_its_action(rpw_server: Server) -> None:
    armed = rpw_server.faults.kill_worker(first=1)
    with pytest.raises(ActionFailedError) as caught:
        rpw_server.run(compiled("a"))
    assert caught.value.outcome.status == "FAILED_PRECONDITION"
    assert "killed by an injected fault" in str(caught.value)
    assert armed.hits == 1
    assert retirements(rpw_server) == [(1, "crash", -signal.SIGKILL)]
    assert rpw_server.run(compiled("a")).worker == 2


@pytest.mark.rpw(retry_crashed_worker=True)
def test_an_action_is_run_again_when_the_setting_demands_it(rpw_server: Server) -> None:
    rpw_server.faults.kill_worker(first=1)
    outcome = rpw_server.run(compiled("a"))
    assert outcome.ok
    assert outcome.worker == 2


def test_a_worker_killed_between_requests_is_replaced_and_nothing_fails(
    rpw_server: Server,
) -> None:
    rpw_server.faults.kill_worker(in_request=False, first=1)
    first, second, third = (rpw_server.run(compiled(name)) for name in "abc")
    assert first.outputs["out/a"]
    assert [each.worker for each in (first, second, third)] == [1, 2, 2]
    # Beside the actions: no action waits for the end of a worker that none has leased.
    assert rpw_server.events.wait_for(
        lambda events: any(isinstance(each, WorkerRetired) for each in events)
    )
    ((_, reason, status),) = retirements(rpw_server)
    assert (reason, status) == ("ended between requests", -signal.SIGKILL)
    rpw_server.assert_worker_restarted(first, second)


def test_every_second_request_meets_its_death(rpw_server: Server) -> None:
    rpw_server.faults.arm("worker:die-in-request:every=2")
    statuses = [rpw_server.run(compiled(name), check=False).status for name in "abcd"]
    assert statuses == ["OK", "FAILED_PRECONDITION"] * 2


def test_a_multiplex_worker_is_killed_too(rpw_server: Server) -> None:
    rpw_server.faults.kill_worker(first=1)
    action = compiled("a", platform={"persistentWorkerMultiplex": "1"})
    assert rpw_server.run(action, check=False).status == "FAILED_PRECONDITION"
    assert rpw_server.run(action).worker == 2
