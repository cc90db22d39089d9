"""Servers under pytest: held for the session and reset after each test, or made for one test.

Nothing here is a fixture or a hook; those are in `rpw_fixture.pytest_plugin`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rpw_fixture.config import Config
from rpw_fixture.plugin.bazel_workspace import BazelWorkspace, find_bazel

if TYPE_CHECKING:
    from rpw_fixture.server import Server
    from rpw_fixture.testing.cluster import Cluster

#: Idle servers kept for the next tests that want their config; each has a socket and some threads.
_MOST_IDLE = 4


class SessionServers:
    """The servers of one pytest process.

    Args:
        endpoint: an existing server to use instead of our own, or nothing.
        options: arguments of `Client` for that one.
    """

    def __init__(self, endpoint: str, options: dict[str, Any]) -> None:
        self.endpoint = endpoint
        self._options = options
        self._idle: list[Server] = []
        self._cluster: Cluster | None = None
        self._workspace: BazelWorkspace | None = None

    @contextmanager
    def lend(self, config: Config) -> Iterator[Server]:
        """A running server in its initial state, for one test.

        It is taken from those that are idle, so that a test costs a reset and not a start.
        """
        server = self._take(config) or make_server(config)
        try:
            yield server
        except BaseException:
            server.stop()
            raise
        self._take_back(server)

    def cluster(self) -> Cluster:
        """The existing server, told from all that was run on it before."""
        if self._cluster is None:
            self._cluster = self.make_cluster()
        self._cluster.reset()
        return self._cluster

    def make_cluster(self) -> Cluster:
        """Return the existing server as another one, with a client and records of its own.

        The caller stops it.
        """
        from rpw_fixture.testing.cluster import Cluster  # noqa: PLC0415 - loads grpc

        return Cluster(self.endpoint, **self._options)

    def workspace(self, flags: Sequence[str]) -> BazelWorkspace:
        """An empty workspace; its Bazel server is started once, because that takes seconds.

        Raises:
            EnvironmentLacksError: when there is no Bazel.
        """
        if self._workspace is None:
            self._workspace = BazelWorkspace(find_bazel())
        self._workspace.reset(flags)
        return self._workspace

    def close(self) -> None:
        """Stops all servers held, Bazel's too."""
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
        # What is on disk on purpose must outlive the test, and a reset would empty it.
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
    """A new server, started.

    Raises:
        EnvironmentLacksError: when it can't be started here.
    """
    from rpw_fixture.server import Server  # noqa: PLC0415 - loads grpc

    return Server(config).start()
