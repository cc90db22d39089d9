"""What the first call brings to life: the services of a server, and what executes actions for them."""

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
    """The services of a running server. It builds nothing; see `rpw_fixture.server.backend`.

    Attributes:
        handlers: of all calls.
        health: the service that says whether the server is serving.
        bytestream: the service that has unfinished uploads.
        engine: executes actions, once one was asked for.
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
        """End every process that was started."""
        self.engine.close()
