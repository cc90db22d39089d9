"""What clients get while a server stops."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from rpw_fixture.client import Client
from rpw_fixture.errors import RpwError
from rpw_fixture.server import Server
from tests.waiting import PATIENCE, until
from tests.workers.worker_actions import Running, held, probe_action


def refusal(client: Client, action: object) -> str:
    """Upload an action and ask for it; what the server says to that, empty when it runs it."""
    try:
        outcome = client.run(action, check=False)  # type: ignore[arg-type]
    except RpwError as error:
        return str(error)
    return outcome.message


@pytest.mark.slow
def test_while_actions_end_uploads_work_and_new_actions_learn_that_the_server_stops(
    tmp_path: Path,
) -> None:
    server = Server().start()
    with server.connect() as client:
        running = Running(server, held(tmp_path, "one"), client)
        until((tmp_path / "one").exists)
        stopping = threading.Thread(target=server.stop, args=(PATIENCE,))
        stopping.start()
        until(lambda: "the server is stopping" in refusal(client, probe_action(salt=b"late")))
        told = refusal(client, probe_action(inputs={"src/new": "never seen before"}))
        (tmp_path / "gate").touch()

        assert "UNAVAILABLE: the server is stopping" in told
        assert running.result().ok
        stopping.join(PATIENCE)
    assert not stopping.is_alive()


def test_an_action_that_outlives_the_grace_learns_why(tmp_path: Path) -> None:
    server = Server().start()
    with server.connect() as client:
        running = Running(server, held(tmp_path, "one"), client)
        until((tmp_path / "one").exists)
        server.stop(0.1)

        outcome = running.result()
    assert (outcome.status, outcome.message) == ("UNAVAILABLE", "the server is stopping")


@pytest.mark.slow
def test_a_client_that_retries_as_bazel_does_gets_the_reason_to_the_end(tmp_path: Path) -> None:
    """Bazel reports the last answer only; of a closed port it would say "connection refused"."""
    server = Server(shutdown_grace=8.0).start()
    with server.connect() as client:
        running = Running(server, held(tmp_path, "one"), client)
        until((tmp_path / "one").exists)
        stopping = threading.Thread(target=server.stop)
        stopping.start()
        until(lambda: "the server is stopping" in refusal(client, probe_action(salt=b"late")))
        (tmp_path / "gate").touch()
        assert running.result().ok
        for pause in (0.4, 0.8, 1.6):
            time.sleep(pause)  # that of the client, see Bazel's ExponentialBackoff
            assert "the server is stopping" in refusal(client, probe_action(salt=b"late"))
    stopping.join(PATIENCE)
    assert not stopping.is_alive()
