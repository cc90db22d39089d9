"""Puts together the services of a server.

This module is imported for the first call, because protobuf and the modules that need it take longer to
load than all that a server needs to listen. The engine takes another third of the time, so it is imported
still later, for the first call about actions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from rpw_fixture.config import Config
from rpw_fixture.events.log import EventLog
from rpw_fixture.faults.registry import Faults
from rpw_fixture.server.stores import Stores
from rpw_fixture.services.action_cache import ActionCacheService
from rpw_fixture.services.backend import Backend
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
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.support.lazy import Lazy
from rpw_fixture.wire.digests import DigestFunctions

if TYPE_CHECKING:
    from rpw_fixture.execution.engine import Engine


class BackendDependencies(NamedTuple):
    """The parts of a server that exist before the first call, and that its backend needs.

    Attributes:
        config: all settings.
        functions: digest functions of the server.
        log: log of its events.
        folder: of the server; the spawner removes it if this process is killed.
        stores: its blobs and results.
        faults: the armed faults.
        counters: counters of calls.
        executor: the executor of the gRPC server.
    """

    config: Config
    functions: DigestFunctions
    log: EventLog
    folder: Path
    stores: Stores
    faults: Faults
    counters: Counters
    executor: CallExecutor


def build_backend(given: BackendDependencies, around: Sequence[Interceptor]) -> Backend:
    """Build a backend.

    Args:
        given: the parts that exist already.
        around: interceptors outside of those for counters and faults.
    """
    config, cas = given.config, given.stores.cas
    results = CompleteResults(given.stores.cache, cas, is_checked=config.check_action_cache)
    engine = Lazy(lambda: _build_engine(given, results))
    bytestream = ByteStreamService(config, cas)
    services: list[Service] = [
        CapabilitiesService(config, given.functions),
        CasService(config, cas),
        bytestream,
        ActionCacheService(cas, results, strict=config.strict),
        ExecutionService(cas, engine.get),
        OperationsService(engine.get),
    ]
    health = HealthService(service.name for service in services)
    interceptors = (
        *around,
        Counting(given.counters, cas).interceptor,
        FaultInjector(given.faults, cas).interceptor,
    )
    handlers = Handlers(
        (*services, health),
        events=given.log,
        interceptors=interceptors,
        executor=given.executor,
    )
    return Backend(handlers=handlers, health=health, bytestream=bytestream, engine=engine)


def _build_engine(given: BackendDependencies, results: CompleteResults) -> Engine:
    from rpw_fixture.server.engine import EngineDependencies, build_engine  # noqa: PLC0415 - see above

    return build_engine(
        EngineDependencies(
            config=given.config,
            log=given.log,
            folder=given.folder,
            results=results,
            worker_faults=given.faults.workers,
        )
    )
