"""A small server of the storage services."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import grpc

from rpw_fixture.config import Config
from rpw_fixture.events.kinds import InternalError
from rpw_fixture.events.log import EventLog
from rpw_fixture.services.action_cache import ActionCacheService
from rpw_fixture.services.base import Handlers
from rpw_fixture.services.bytestream import ByteStreamService
from rpw_fixture.services.capabilities import CapabilitiesService
from rpw_fixture.services.cas import CasService
from rpw_fixture.services.health import HealthService
from rpw_fixture.storage.action_cache import ActionCache
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.complete_results import CompleteResults
from rpw_fixture.wire.digests import DigestFunctions

from .client import Client, client_on

_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20))


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A running server, its storage, and a client of it."""

    client: Client
    cas: Cas
    results: ActionCache
    log: EventLog
    target: str


@contextlib.contextmanager
def serving(folder: Path, config: Config) -> Iterator[Served]:
    """Serves the storage services from ``folder``; an internal error fails the test."""
    functions = DigestFunctions(config.digest_functions)
    cas = Cas(
        functions,
        folder=folder,
        memory_bytes=config.cas_memory_bytes,
        spill_threshold=config.cas_spill_threshold,
        max_bytes=config.cas_max_bytes,
        durable=False,
    )
    results, log = ActionCache(), EventLog()
    complete = CompleteResults(results, cas, is_checked=config.check_action_cache)
    bytestream = ByteStreamService(config, cas)
    services = [
        CapabilitiesService(config, functions),
        CasService(config, cas),
        bytestream,
        ActionCacheService(cas, complete),
    ]
    services.append(HealthService(service.name for service in services))
    pool = ThreadPoolExecutor(16)
    server = grpc.server(pool, options=_OPTIONS)
    server.add_generic_rpc_handlers([Handlers(services, events=log)])
    target = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        with grpc.insecure_channel(target) as channel:
            yield Served(
                client=client_on(channel), cas=cas, results=results, log=log, target=target
            )
    finally:
        server.stop(0).wait()
        pool.shutdown()
        bytestream.clear()
        cas.close()
    assert log.of(InternalError) == []
