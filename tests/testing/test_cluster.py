"""What a test sees of a server that it did not start: the results of its actions."""

from __future__ import annotations

from pathlib import Path

import pytest

from rpw_fixture import Action, Server
from rpw_fixture.client import ActionFailedError
from rpw_fixture.config import Config
from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import ActionCompleted, RequestSent, WorkerRetired
from rpw_fixture.events.log import EventLog
from rpw_fixture.testing.cluster import Cluster
from rpw_fixture.testing.endpoint import Endpoint
from tests.testing.event_script import EventScript
from tests.workers.worker_actions import compile_action

PLAIN = Action(
    arguments=["/bin/sh", "-c", "echo x > out"], outputs=["out"], mnemonic="Touch", target="//a"
)


def test_results_become_records(rpw_server: Server) -> None:
    with Cluster(rpw_server.endpoint) as cluster:
        first, second = cluster.run(PLAIN), cluster.run(PLAIN)
        assert (first.cached, second.cached) == (False, True)
        assert [each.mode for each in cluster.actions] == [Mode.ONE_SHOT, Mode.CACHE]
        record = cluster.actions[0]
        assert (record.mnemonic, record.target, record.worker) == ("Touch", "//a", None)
        assert (record.exit_code, record.status, record.reused) == (0, "OK", False)
        assert [each.path for each in record.outputs] == ["out"]
        cluster.reset()
        assert not cluster.actions
        assert not cluster.run(PLAIN).cached  # it differs from the one before
        cluster.stop()
        assert cluster.run(PLAIN).cached


def test_a_worker_is_known_by_its_name(rpw_server: Server) -> None:
    with Cluster(rpw_server.endpoint) as cluster:
        outcomes = [cluster.run(compile_action(name)) for name in ("a", "b")]
        assert [each.mode for each in cluster.actions] == [Mode.WORKER] * 2
        assert {each.worker for each in cluster.actions} == {outcomes[0].worker}
        sent = cluster.events.of(RequestSent)
        assert [(each.worker, each.inputs) for each in sent] == [
            (outcomes[0].worker, len(each.action.entries)) for each in outcomes
        ]
        assert all(not each.reused for each in cluster.events.of(ActionCompleted))


def test_a_failed_action_is_recorded_before_it_is_raised(rpw_server: Server) -> None:
    failing = Action(arguments=["/bin/sh", "-c", "exit 3"], outputs=[])
    with Cluster(rpw_server.endpoint) as cluster:
        with pytest.raises(ActionFailedError):
            cluster.run(failing, check="exit")
        assert [each.exit_code for each in cluster.actions] == [3]


# --- flags for Bazel, and what is known of workers ---


def test_bazel_gets_what_the_servers_client_has() -> None:
    cluster = Cluster("grpc://h:1", tls_ca="ca.pem", instance_name="main", headers={"a": "b"})
    assert cluster.bazel_flags() == [
        "--remote_executor=grpc://h:1",
        "--spawn_strategy=remote",
        "--remote_local_fallback=false",
        "--remote_header=a=b",
        "--tls_certificate=ca.pem",
        "--remote_instance_name=main",
    ]
    assert len(Cluster("grpc://h:1").bazel_flags()) == 3


def test_a_token_is_shown_only_if_it_may_be(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("secret\n")
    with Server(auth_token_file=str(tmp_path / "token")) as server:
        assert "--remote_header=authorization=Bearer secret" in server.bazel_flags()
        hidden = server.bazel_flags(shows_secrets=False)
    assert f"--remote_header=authorization=Bearer <{tmp_path / 'token'}>" in hidden
    assert not any("secret" in each for each in hidden)


def test_the_stderr_of_ended_workers_is_in_the_log() -> None:
    script = EventScript()
    assert script.endpoint.mark() == 0
    script.on_worker("a", 1)
    script.on_worker("b", 2)
    script.add(WorkerRetired(worker=1, reason="x", exit_status=0, stderr_tail="oops", requests=1))
    assert script.endpoint.worker_stderr() == {1: "oops"}
    assert script.endpoint.mark() == script.endpoint.events.snapshot()[-1].seq > 0
    assert Endpoint(Config(), EventLog()).worker_stderr() == {}
