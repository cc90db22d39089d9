"""Servers under pytest: kept for the session and reset after each test, or made for one test.

Fixtures and hooks are in `rpw_fixture.pytest_plugin`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rpw_fixture.client.existing_server import ExistingServer
from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError
from rpw_fixture.plugin.bazel_workspace import BazelWorkspace, find_bazel

if TYPE_CHECKING:
    from rpw_fixture.server import Server
    from rpw_fixture.testing.cluster import Cluster

#: Idle servers to keep for later tests with the same config; each has a socket and some threads.
_MOST_IDLE = 4


class SessionServers:
    """The servers of one pytest process.

    Args:
        existing: an existing server to use; None if the tests start their own.
    """

    def __init__(self, existing: ExistingServer | None) -> None:
        self.existing = existing
        self._idle: list[Server] = []
        self._cluster: Cluster | None = None
        self._workspace: BazelWorkspace | None = None

    @contextmanager
    def lend(self, config: Config) -> Iterator[Server]:
        """Yield a running server in its initial state, for one test.

        An idle server is used if there is one: a reset takes less time than a start.
        """
        server = self._take(config) or make_server(config)
        try:
            yield server
        except BaseException:
            server.stop()
            raise
        self._take_back(server)

    def cluster(self) -> Cluster:
        """Return the existing server, without what earlier tests ran on it."""
        if self._cluster is None:
            self._cluster = self.make_cluster()
        self._cluster.reset()
        return self._cluster

    def make_cluster(self) -> Cluster:
        """Return the existing server with a new client and new records; the caller stops it.

        Raises:
            ConfigError: if the tests start their own servers.
        """
        from rpw_fixture.testing.cluster import Cluster  # noqa: PLC0415 - loads grpc

        if self.existing is None:
            raise ConfigError("there is no existing server; give --rpw-endpoint")
        return Cluster(self.existing.endpoint, **self.existing.client_options)

    def workspace(self, flags: Sequence[str]) -> BazelWorkspace:
        """Return an empty workspace; its Bazel server is started once, because that takes seconds.

        Raises:
            EnvironmentLacksError: if there is no Bazel.
        """
        if self._workspace is None:
            self._workspace = BazelWorkspace(find_bazel())
        self._workspace.reset(flags)
        return self._workspace

    def close(self) -> None:
        """Stop all servers, also Bazel's."""
        if self._workspace is not None:
            self._workspace.close()
            self._workspace = None
        while self._idle:
            self._idle.pop().stop()
        if self._cluster is not None:
            self._cluster.stop()
            self._cluster = None

    def _take(self, config: Config) -> Server | None:
        for position, server in enumerate(self._idle):
            if server.config == config:
                return self._idle.pop(position)
        return None

    def _take_back(self, server: Server) -> None:
        # A reset would empty --root and --record, which are kept on purpose.
        if server.config.root is not None or server.config.record is not None:
            server.stop()
            return
        try:
            server.reset()
        except BaseException:
            server.stop()
            raise
        self._idle.append(server)
        if len(self._idle) > _MOST_IDLE:
            self._idle.pop(0).stop()


def make_server(config: Config) -> Server:
    """Return a new server that is running.

    Raises:
        EnvironmentLacksError: if it cannot start on this machine.
    """
    from rpw_fixture.server import Server  # noqa: PLC0415 - loads grpc

    return Server(config).start()
