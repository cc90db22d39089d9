"""What clients get while a server stops."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path

import pytest

from rpw_fixture.client import Client
from rpw_fixture.errors import EnvironmentLacksError, RpwError
from rpw_fixture.server import Server
from rpw_fixture.server.running import RunningServer
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


@pytest.mark.parametrize("prepared", [False, True])
def test_a_folder_that_can_not_be_used_is_named_before_anything_is_served(
    prepared: bool, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    root = tmp_path / "file/below"
    settings = {"record": str(tmp_path / "recording")} if prepared else {}
    with pytest.raises(EnvironmentLacksError, match=rf"^--root {root}: .*Not a directory"):
        Server(root=str(root), **settings).start()  # type: ignore[arg-type]


def test_an_engine_that_can_not_be_prepared_names_the_folder_of_the_server(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fail(_self: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    monkeypatch.setattr(RunningServer, "prepare", fail)
    with pytest.raises(EnvironmentLacksError, match=r"^/.*: .*no space left"):
        Server(record=str(tmp_path / "recording")).start()
    with Server() as server:  # which prepares nothing
        assert server.endpoint


def test_a_server_stops_where_no_thread_can_be_started_to_wait_for_its_clients(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    server = Server().start()
    refused: list[threading.Thread] = []

    def fail(thread: threading.Thread) -> None:
        refused.append(thread)
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", fail)
        server.stop(0.01)
    assert refused  # by gRPC, which would have waited in it
