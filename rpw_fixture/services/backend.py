"""The backend of a server: its services, and the engine that executes actions for them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rpw_fixture.services.base import Handlers
from rpw_fixture.services.bytestream import ByteStreamService
from rpw_fixture.services.health import HealthService
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.lazy import Lazy

if TYPE_CHECKING:
    from rpw_fixture.execution.engine import Engine


class Backend(Closeable):
    """The services of a running server, which the first call builds (`rpw_fixture.server.backend`).

    Attributes:
        handlers: the handlers of all calls.
        health: the service that reports whether the server is serving.
        bytestream: the service that keeps unfinished uploads.
        engine: executes actions; built for the first call about actions.
    """

    def __init__(
        self,
        *,
        handlers: Handlers,
        health: HealthService,
        bytestream: ByteStreamService,
        engine: Lazy[Engine],
    ) -> None:
        self.handlers = handlers
        self.health = health
        self.bytestream = bytestream
        self.engine = engine

    def close(self) -> None:
        """Close the engine, which ends every process that it started."""
        self.engine.close()
