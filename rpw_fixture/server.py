"""The composition root: builds the parts of a server from its config, starts and stops them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, cast

import grpc

from rpw_fixture.config import Config
from rpw_fixture.endpoint import Endpoint
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.event_log import EventLog, JsonLines
from rpw_fixture.execution import workspace
from rpw_fixture.execution.removal import remove
from rpw_fixture.faults.armed import Faults
from rpw_fixture.late import Late
from rpw_fixture.processors import Processor
from rpw_fixture.services._base import Service, handler_of
from rpw_fixture.services.action_cache import ActionCacheService
from rpw_fixture.services.bytestream import ByteStreamService
from rpw_fixture.services.capabilities import CapabilitiesService
from rpw_fixture.services.cas import CasService
from rpw_fixture.services.counters import Counters
from rpw_fixture.services.execution import ExecutionService
from rpw_fixture.services.faults import FaultInjector
from rpw_fixture.services.health import HealthService
from rpw_fixture.services.listening import Activity, Listener
from rpw_fixture.services.operations import OperationsService
from rpw_fixture.storage.action_cache import ActionCache
from rpw_fixture.storage.cas import Cas
from rpw_fixture.storage.completeness import CompleteResults
from rpw_fixture.threads import ThreadPool
from rpw_fixture.wire.digests import Digest, DigestFunctions
from rpw_fixture.workers import personalities

if TYPE_CHECKING:
    from rpw_fixture.execution.engine import Engine


class Server(Endpoint):
    """An REAPI server with persistent workers.

    It listens from `start` (or entering a ``with`` block) until `stop`.

    Args:
        config: all settings; the default ones when not given.
        settings: single settings, by the names of `Config`, on top of it.

    Raises:
        ConfigError: for settings that can't be used.
    """

    def __init__(self, config: Config | None = None, **settings: Any) -> None:
        config = (config or Config()).replace(**settings)
        super().__init__(config, EventLog())
        self._functions = DigestFunctions(config.digest_functions)
        personalities.require(config.personality)
        self._listener = Listener.of(config)
        self._lock = threading.Lock()
        self._parts: _Parts | None = None
        self._faults = Faults(config.faults, evict=self._evict)
        self._counters = Counters(counts_digests=config.count_digests)

    def start(self) -> Self:
        """Starts to listen; returns itself.

        Raises:
            EnvironmentLacksError: when the address can't be had, or a folder can't be used.
        """
        with self._lock:
            if self._parts is None:
                self._parts = _Parts(
                    self.config,
                    self._functions,
                    self._listener,
                    self.events,
                    self._faults,
                    self._counters,
                )
                self._reach(self._listener.scheme, self._parts.address)
        return self

    def stop(self, grace: float | None = None) -> None:
        """Takes no more calls, lets running actions end, and removes every trace.

        Args:
            grace: seconds running actions get; the config's when not given.
        """
        with self._lock:
            parts, self._parts = self._parts, None
        if parts is not None:
            self.close_client()
            parts.stop(self.config.shutdown_grace if grace is None else grace)

    def prepare(self) -> None:
        """Loads what the first action needs and the first calls do without; else that action does."""
        if self._parts is not None:
            self._parts.prepare()

    def reset(self) -> None:
        """Forgets everything: workers, blobs, results, operations, events, faults, counters.

        The address stays.
        """
        self._faults.clear()
        self._succeeded.clear()
        parts = self._parts
        if parts is not None:
            parts.reset()
        self.events.clear()
        self._counters.reset()

    @property
    def faults(self) -> Faults:
        """See `Endpoint.faults`."""
        return self._faults

    @property
    def counters(self) -> Counters:
        """See `Endpoint.counters`."""
        return self._counters

    def _evict(self, predicate: Callable[[Digest], bool]) -> int:
        parts = self._parts
        if parts is None:
            raise ConfigError("the server does not run, so it has no blobs to evict")
        return parts.evict(predicate)

    def _live_stderr(self) -> dict[int, str]:
        return self._parts.live_stderr() if self._parts is not None else {}

    @property
    def idle_seconds(self) -> float:
        """For how long nothing was asked of it."""
        return self._parts.idle_seconds if self._parts is not None else 0.0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _Parts:
    """All that exists while a server runs."""

    def __init__(
        self,
        config: Config,
        functions: DigestFunctions,
        listener: Listener,
        log: EventLog,
        faults: Faults,
        counters: Counters,
    ) -> None:
        self._faults = faults
        self._counters = counters
        self._undo = contextlib.ExitStack()
        with contextlib.ExitStack() as undo:
            if config.events is not None:
                sink = JsonLines(config.events)
                undo.callback(sink.close)
                undo.callback(log.remove_sink, sink)
                log.add_sink(sink)
            folder = workspace.create()
            undo.callback(remove, str(folder))
            try:
                self._build(config, functions, log, folder, undo)
            except OSError as error:
                where = folder if config.root is None else f"--root {config.root}"
                raise EnvironmentLacksError(f"{where}: {error}") from None
            self._serve(config, listener, log, undo)
            self._undo = undo.pop_all()

    def _build(
        self,
        config: Config,
        functions: DigestFunctions,
        log: EventLog,
        folder: Path,
        undo: contextlib.ExitStack,
    ) -> None:
        root = Path(config.root) if config.root is not None else None
        self._cas = Cas(
            functions,
            folder=(root or folder) / "cas",
            memory_bytes=config.cas_memory_bytes,
            spill_threshold=config.cas_spill_threshold,
            max_bytes=config.cas_max_bytes,
            durable=root is not None,
        )
        undo.callback(self._cas.close)
        self._cache = ActionCache(root / "ac" if root is not None else None)
        undo.callback(self._cache.close)
        results = CompleteResults(self._cache, self._cas, is_checked=config.check_action_cache)
        work = folder / "work"
        work.mkdir()

        def build() -> Engine:
            # Not at the top: it is a third of all there is to load, and the first calls do without.
            from rpw_fixture.execution.engine import Engine  # noqa: PLC0415

            return Engine(
                config=config,
                log=log,
                folder=folder,
                work=work,
                results=results,
                worker_faults=self._faults.workers,
            )

        self._engine = undo.enter_context(Late(build))
        if _may_fail(config):
            self._engine.get()
        self._build_services(config, functions, results)

    def _build_services(
        self, config: Config, functions: DigestFunctions, results: CompleteResults
    ) -> None:
        self._bytestream = ByteStreamService(config, self._cas)
        self._services: list[Service] = [
            CapabilitiesService(config, functions),
            CasService(config, self._cas),
            self._bytestream,
            ActionCacheService(self._cas, results, strict=config.strict),
            ExecutionService(self._cas, self._engine.get),
            OperationsService(self._engine.get),
        ]
        self._health = HealthService(service.name for service in self._services)
        self._services.append(self._health)

    def _serve(
        self,
        config: Config,
        listener: Listener,
        log: EventLog,
        undo: contextlib.ExitStack,
    ) -> None:
        self._activity = Activity()
        threads = ThreadPool(config.threads, "rpw-call")
        undo.callback(threads.shutdown)
        around = (
            self._activity.interceptor,
            listener.guard,
            self._counters.interceptor(self._cas),
            FaultInjector(self._faults, self._cas).interceptor,
        )
        self._grpc = grpc.server(
            cast("Any", threads),  # gRPC only submits to it, whatever its stubs say
            handlers=[
                handler_of(service, events=log, interceptors=around) for service in self._services
            ],
            options=listener.options,
        )
        undo.callback(lambda: self._grpc.stop(0).wait())
        self.address = listener.bind(self._grpc)
        undo.enter_context(Processor()).hold(self._grpc.start)

    @property
    def idle_seconds(self) -> float:
        return self._activity.idle_seconds

    def evict(self, predicate: Callable[[Digest], bool]) -> int:
        return self._cas.evict(lambda _function, digest: predicate(digest))

    def prepare(self) -> None:
        self._engine.get()

    def live_stderr(self) -> dict[int, str]:
        engine = self._engine.known
        return engine.live_stderr() if engine is not None else {}

    def reset(self) -> None:
        engine = self._engine.known
        if engine is not None:
            engine.reset()
        self._bytestream.clear()
        self._cache.clear()
        self._cas.clear()

    def stop(self, grace: float) -> None:
        self._health.stop_serving()
        stopped = self._grpc.stop(grace)
        engine = self._engine.known
        if engine is not None:
            engine.stop(grace)
        stopped.wait()
        self._undo.close()


def _may_fail(config: Config) -> bool:
    """Whether building an engine may find fault with the settings, which is to be told at once."""
    return bool(
        config.isolation != "none"
        or config.allow_docker
        or config.limits
        or config.tool_inputs
        or config.record is not None
    )
