"""All services of a server and the engine behind them: what the first call brings to life.

A server listens before it has this, because protobuf and what needs it take longer to load than all
the rest; and the engine comes later still, for the first call that has to do with actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rpw_fixture.config import Config
from rpw_fixture.events.log import EventLog
from rpw_fixture.faults.registry import Faults
from rpw_fixture.services.action_cache import ActionCacheService
from rpw_fixture.services.base import Handlers, Interceptor, Service
from rpw_fixture.services.bytestream import ByteStreamService
from rpw_fixture.services.calls.executor import CallExecutor
from rpw_fixture.services.capabilities import CapabilitiesService
from rpw_fixture.services.cas import CasService
from rpw_fixture.services.execution import ExecutionService
from rpw_fixture.services.health import HealthService
from rpw_fixture.services.interceptors.counters import Counters
from rpw_fixture.services.interceptors.counting import Counting
from rpw_fixture.services.interceptors.faults import FaultInjector
from rpw_fixture.services.operations import OperationsService
from rpw_fixture.storage.action_cache import ActionCache
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.lazy import Lazy
from rpw_fixture.wire.digests import DigestFunctions

if TYPE_CHECKING:
    from rpw_fixture.execution.engine import Engine


@dataclass(frozen=True, slots=True, kw_only=True)
class BackendDependencies:
    """What a front stands on.

    Attributes:
        config: all settings.
        functions: digest functions of the server.
        log: of its events.
        folder: of the server; the spawner removes it should this process be killed.
        cas: its blobs.
        cache: results of actions.
        faults: what is armed.
        counters: of calls.
        executor: what the gRPC server submits its calls to.
    """

    config: Config
    functions: DigestFunctions
    log: EventLog
    folder: Path
    cas: Cas
    cache: ActionCache
    faults: Faults
    counters: Counters
    executor: CallExecutor


class Backend(Closeable):
    """Answers calls until it is closed.

    Args:
        ground: the parts of the server that were there before.
        around: put around every handler, outside of counters and faults.

    Attributes:
        handlers: of all calls.
    """

    def __init__(self, ground: BackendDependencies, around: Sequence[Interceptor]) -> None:
        config, cas = ground.config, ground.cas
        self._ground = ground
        self._results = CompleteResults(ground.cache, cas, is_checked=config.check_action_cache)
        self._engine = Lazy(self._build_engine)
        self._bytestream = ByteStreamService(config, cas)
        services: list[Service] = [
            CapabilitiesService(config, ground.functions),
            CasService(config, cas),
            self._bytestream,
            ActionCacheService(cas, self._results, strict=config.strict),
            ExecutionService(cas, self._engine.get),
            OperationsService(self._engine.get),
        ]
        self._health = HealthService(service.name for service in services)
        interceptors = (
            *around,
            Counting(ground.counters, cas).interceptor,
            FaultInjector(ground.faults, cas).interceptor,
        )
        self.handlers = Handlers(
            (*services, self._health),
            events=ground.log,
            interceptors=interceptors,
            executor=ground.executor,
        )

    def prepare(self) -> None:
        """Builds the engine."""
        self._engine.get()

    def live_stderr(self) -> dict[int, str]:
        """The end of what each running worker wrote to stderr, by its number."""
        engine = self._engine.known
        return engine.live_stderr() if engine is not None else {}

    def reset(self) -> None:
        """Forgets actions, workers and unfinished uploads."""
        engine = self._engine.known
        if engine is not None:
            engine.reset()
        self._bytestream.clear()

    def stop_serving(self) -> None:
        """Tells those who watch the server's health that it is about to stop."""
        self._health.stop_serving()

    def stop(self, grace: float) -> None:
        """Lets running actions end, for ``grace`` seconds."""
        engine = self._engine.known
        if engine is not None:
            engine.stop(grace)

    def close(self) -> None:
        """Ends every process that was started."""
        self._engine.close()

    def _build_engine(self) -> Engine:
        # Not at the top: it is a third of all there is to load.
        from rpw_fixture.execution.engine import Engine  # noqa: PLC0415

        ground = self._ground
        work = ground.folder / "work"
        work.mkdir(exist_ok=True)
        return Engine(
            config=ground.config,
            log=ground.log,
            folder=ground.folder,
            work=work,
            results=self._results,
            worker_faults=ground.faults.workers,
        )
