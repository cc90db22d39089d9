"""What tests touch of a server: running actions, what was observed, and assertions about it.

An `Endpoint` has an address and a log of events; it does not know how the server behind it works, or
whether it runs in this process.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError
from rpw_fixture.events import EventLog

if TYPE_CHECKING:
    from rpw_fixture.client import Client


class Endpoint:
    """A server that can be asked to run actions.

    Attributes:
        config: the server's settings.
        events: what was observed.
    """

    def __init__(self, config: Config, events: EventLog) -> None:
        self.config = config
        self.events = events
        self._endpoint = ""
        self._client: Client | None = None
        self._client_lock = threading.Lock()

    def _reach(self, scheme: str, address: str) -> None:
        """Tells where the server can be reached from now on."""
        self._endpoint = address if address.startswith("unix:") else f"{scheme}://{address}"

    @property
    def endpoint(self) -> str:
        """The address with its scheme, as clients take it: ``grpc://127.0.0.1:41213``.

        Raises:
            ConfigError: when the server was not started.
        """
        if not self._endpoint:
            raise ConfigError("the server was not started; use `with Server() as server:`")
        return self._endpoint

    @property
    def address(self) -> str:
        """The address without its scheme: ``127.0.0.1:41213``."""
        return self.endpoint.rpartition("://")[2]

    @property
    def client(self) -> Client:
        """A client of this server, with which `run` works."""
        with self._client_lock:
            if self._client is None:
                self._client = self._make_client()
            return self._client

    def connect(self, **options: Any) -> Client:
        """Another client of this server; the caller closes it.

        Args:
            options: arguments of `Client`, instead of those that follow from the server's settings.
        """
        from rpw_fixture.client import Client  # noqa: PLC0415 - loads grpc

        return Client(self.endpoint, **{**self._client_options(), **options})

    def close_client(self) -> None:
        """Closes the client, if there is one; the next use makes a new one."""
        with self._client_lock:
            client, self._client = self._client, None
        if client is not None:
            client.close()
