"""Servers that are kept for the session: which of them a test gets, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError
from rpw_fixture.plugin import session_servers as module
from rpw_fixture.plugin.session_servers import SessionServers


class Server:
    """A server that notes what is done to it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.done: list[str] = []
        self.cannot_reset = False

    def reset(self) -> None:
        self.done.append("reset")
        if self.cannot_reset:
            raise RuntimeError("can't reset")

    def stop(self) -> None:
        self.done.append("stop")


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> SessionServers:
    monkeypatch.setattr(module, "make_server", Server)
    return SessionServers(None)


def lent(servers: SessionServers, config: Config) -> Any:
    with servers.lend(config) as server:
        return server


def test_a_server_is_reset_and_lent_again_for_the_same_settings(servers: SessionServers) -> None:
    first = lent(servers, Config(jobs=1))
    assert first.done == ["reset"]
    other = lent(servers, Config(jobs=2))
    assert other is not first
    assert lent(servers, Config(jobs=1)) is first
    assert lent(servers, Config(jobs=2)) is other
    with servers.lend(Config(jobs=1)) as one, servers.lend(Config(jobs=1)) as two:
        assert one is first
        assert two is not first
    servers.close()
    assert first.done == ["reset"] * 3 + ["stop"]
    assert other.done == ["reset"] * 2 + ["stop"]


@pytest.mark.parametrize("setting", ["root", "record"])
def test_a_server_with_files_of_the_user_is_stopped_instead(
    setting: str, servers: SessionServers, tmp_path: Path
) -> None:
    config = Config(**{setting: str(tmp_path)})  # type: ignore[arg-type]
    first = lent(servers, config)
    assert first.done == ["stop"]
    assert lent(servers, config) is not first


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_server_of_a_test_that_was_ended_is_stopped(
    error: type[BaseException], servers: SessionServers
) -> None:
    with pytest.raises(error), servers.lend(Config()) as server:
        raise error
    assert server.done == ["stop"]  # type: ignore[attr-defined]
    assert lent(servers, Config()) is not server


def test_a_server_that_can_not_be_reset_is_stopped(servers: SessionServers) -> None:
    with pytest.raises(RuntimeError, match="can't reset"), servers.lend(Config()) as server:
        server.cannot_reset = True  # type: ignore[attr-defined]
    assert server.done == ["reset", "stop"]  # type: ignore[attr-defined]
    assert lent(servers, Config()) is not server


def test_four_idle_servers_are_kept(servers: SessionServers) -> None:
    made = [lent(servers, Config(jobs=number)) for number in range(1, 6)]
    assert [each.done[1:] for each in made] == [["stop"], [], [], [], []]
    servers.close()
    assert [each.done[1:] for each in made] == [["stop"]] * 5


def test_there_is_no_existing_server_unless_one_is_named(servers: SessionServers) -> None:
    for ask in (servers.make_cluster, servers.cluster):
        with pytest.raises(ConfigError, match="there is no existing server; give --rpw-endpoint"):
            ask()
    servers.close()


def test_the_existing_server_is_one_for_all_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    def cluster(endpoint: str, **options: object) -> Any:
        done: list[str] = []
        made.append(SimpleNamespace(endpoint=endpoint, options=options, done=done))
        made[-1].reset = lambda: done.append("reset")
        made[-1].stop = lambda: done.append("stop")
        return made[-1]

    monkeypatch.setattr("rpw_fixture.testing.cluster.Cluster", cluster)
    existing = ExistingServer(endpoint="grpc://127.0.0.1:1")
    servers = SessionServers(existing)
    assert servers.cluster() is servers.cluster()
    assert (made[0].endpoint, made[0].options) == (existing.endpoint, existing.client_options)
    assert made[0].done == ["reset", "reset"]
    separate = servers.make_cluster()
    assert separate is not made[0]
    servers.close()
    servers.close()
    assert made[0].done == ["reset", "reset", "stop"]
    assert separate.done == []


def test_the_workspace_is_one_for_all_tests(
    servers: SessionServers, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []

    class Workspace:
        def __init__(self, bazel: str) -> None:
            self.bazel, self.done = bazel, []  # type: ignore[var-annotated]
            made.append(self)

        def reset(self, flags: object) -> None:
            self.done.append(flags)

        def close(self) -> None:
            self.done.append("closed")

    monkeypatch.setattr(module, "BazelWorkspace", Workspace)
    monkeypatch.setattr(module, "find_bazel", lambda: "/bin/bazel")
    assert servers.workspace(["a"]) is servers.workspace(["b"])
    servers.close()
    servers.close()
    assert [(each.bazel, each.done) for each in made] == [("/bin/bazel", [["a"], ["b"], "closed"])]
    servers.workspace([])
    assert len(made) == 2
