"""A server that runs: its parts in the order in which they start, and how they stop."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

import grpc

from rpw_fixture._version import __version__
from rpw_fixture.config import Config
from rpw_fixture.config.choices import IsolationKind
from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.events.event_file import EventFile
from rpw_fixture.events.log import EventLog
from rpw_fixture.faults.registry import Faults
from rpw_fixture.services.calls.executor import CallExecutor
from rpw_fixture.services.calls.lazy_handlers import LazyHandlers
from rpw_fixture.services.interceptors.activity import Activity
from rpw_fixture.services.interceptors.counters import Counters
from rpw_fixture.services.listener import Listener
from rpw_fixture.support.cpu_affinity import Processor
from rpw_fixture.support.lazy import Lazy
from rpw_fixture.support.workspace import Workspace
from rpw_fixture.testing.endpoint import endpoint_of
from rpw_fixture.wire.digests import Digest, DigestFunction, DigestFunctions

if TYPE_CHECKING:
    from rpw_fixture.execution.engine import Engine
    from rpw_fixture.server.stores import Stores
    from rpw_fixture.services.backend import Backend

#: Seconds for clients to receive the ends of their operations, after the last operation has ended.
_LAST_WORDS = 0.5
#: Seconds without a refused action after which no client tries again: Bazel does so after 0.1, 0.2, 0.4,
#: 0.8 and 1.6 s.
_RETRY_GAP = 2.5
#: Most seconds to wait for that, and seconds between two checks.
_LONGEST_RETRYING = 8.0
_RETRY_LOOK = 0.05


class RunningServer:
    """The parts of a server that exist only while it runs, from its construction to `stop`.

    Args:
        config: all settings.
        functions: the digest functions that are served.
        listener: binds the address.
        log, faults, counters: they are there before the server runs, and after.

    Attributes:
        address: where it listens, HOST:PORT or a path.
        web: address of the live page; None if there is none.

    Raises:
        ConfigError: for settings that can't be used.
        EnvironmentLacksError: a folder can't be used.
    """

    def __init__(
        self,
        config: Config,
        functions: DigestFunctions,
        listener: Listener,
        log: EventLog,
        faults: Faults,
        counters: Counters,
    ) -> None:
        self._config = config
        self._functions = functions
        self._log = log
        self._faults = faults
        self._counters = counters
        self._activity = Activity()
        with contextlib.ExitStack() as undo:
            if config.events is not None:
                sink = EventFile(config.events)
                undo.callback(sink.close)
                undo.callback(log.remove_sink, sink)
                log.add_sink(sink)
            self._folder = undo.enter_context(Workspace()).path
            self._executor = undo.enter_context(CallExecutor(config.threads))
            self._stores = undo.enter_context(Lazy(self._open_stores))
            self._backend = undo.enter_context(Lazy(self._build_backend))
            try:
                if config.root is not None:
                    self._stores.get()
                if _may_fail(config):
                    self.prepare()
            except OSError as error:
                where = self._folder if config.root is None else f"--root {config.root}"
                place = f" ({error.filename})" if error.filename else ""
                raise EnvironmentLacksError(f"{where}: {error.strerror or error}{place}") from None
            self._serve(listener, undo)
            self.web = self._serve_page(listener, undo)
            self._undo = undo.pop_all()

    def _open_stores(self) -> Stores:
        from rpw_fixture.server.stores import open_stores  # noqa: PLC0415 - needed by the first call

        return open_stores(self._config, self._functions, self._folder, self._record_corrupt)

    def _record_corrupt(self, function: DigestFunction, digest: Digest, path: str) -> None:
        from rpw_fixture.events.kinds import BlobCorrupted  # noqa: PLC0415 - see events/log.py

        self._log.append(BlobCorrupted(digest=str(digest), function=function.name, path=path))

    def _build_backend(self) -> Backend:
        # Not at the top: with protobuf it is half of all there is to load.
        from rpw_fixture.server.backend import BackendDependencies, build_backend  # noqa: PLC0415

        given = BackendDependencies(
            config=self._config,
            functions=self._functions,
            log=self._log,
            folder=self._folder,
            stores=self._stores.get(),
            faults=self._faults,
            counters=self._counters,
            executor=self._executor,
        )
        return build_backend(given, [self._activity.interceptor])

    def _serve(self, listener: Listener, undo: contextlib.ExitStack) -> None:
        self._grpc = grpc.server(
            cast("Any", self._executor),  # gRPC only submits to it, whatever its stubs say
            handlers=[LazyHandlers(self._backend, listener, self._log)],
            options=listener.options,
        )
        undo.callback(lambda: self._grpc.stop(0).wait())
        self.address = listener.bind(self._grpc)
        if self._config.events is not None or self._config.web is not None:
            self._log_start(listener)
        undo.enter_context(Processor()).hold(self._grpc.start)

    def _serve_page(self, listener: Listener, undo: contextlib.ExitStack) -> str | None:
        """Serve the live page, if there is one; return its address."""
        if self._config.web is None:
            return None
        from rpw_fixture.report.live import LivePage  # noqa: PLC0415 - few servers have one

        page = LivePage(self._log, self._config.web, token=listener.token)
        undo.enter_context(page)
        return f"http://{page.address}/"

    def _log_start(self, listener: Listener) -> None:
        from rpw_fixture.events.kinds import ServerStarted  # noqa: PLC0415 - see events/log.py

        self._log.append(
            ServerStarted(
                version=__version__,
                pid=os.getpid(),
                endpoint=endpoint_of(listener.scheme, self.address),
                configuration=dataclasses.asdict(self._config),
            )
        )

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last call ended; 0 while one is open."""
        return self._activity.idle_seconds

    def evict(self, predicate: Callable[[Digest], bool]) -> int:
        """Delete the blobs whose digest a function accepts; return their number."""
        return self._stores.get().cas.evict(lambda _function, digest: predicate(digest))

    @property
    def engine(self) -> Engine | None:
        """The engine; None before the first call about actions."""
        backend = self._backend.known
        return backend.engine.known if backend is not None else None

    def prepare(self) -> None:
        """Build everything that the first action needs. Raises what the settings make impossible."""
        self._backend.get().engine.get()

    def reset(self) -> None:
        """End all workers, and forget what is stored."""
        engine, backend = self.engine, self._backend.known
        if engine is not None:
            engine.reset()
        if backend is not None:
            backend.bytestream.clear()
        stores = self._stores.known
        if stores is not None:
            stores.clear()

    def stop(self, grace: float) -> None:
        """Let actions end, up to ``grace`` seconds, then end what is left and close everything."""
        deadline = time.monotonic() + grace
        backend, engine = self._backend.known, self.engine
        if backend is not None:
            backend.health.stop_serving()
        if engine is not None:
            # While actions end, calls are still served: a client would report uploads that fail and
            # nothing else, and Execute is where it learns that the server is stopping.
            engine.stop(grace)
            self._answer_retries(engine, time.monotonic() + min(grace, _LONGEST_RETRYING))
        left = max(deadline - time.monotonic(), min(grace, _LAST_WORDS))
        stopped = self._stop_accepting(left)
        self._executor.wait_for_clients(stopped, time.monotonic() + left)
        self._grpc.stop(None)  # ends what is left
        self._undo.close()

    def _answer_retries(self, engine: Engine, deadline: float) -> None:
        """Refuse actions until their clients give up: they report the last answer that they got."""
        while time.monotonic() < min(deadline, engine.scheduler.refused_at + _RETRY_GAP):
            time.sleep(_RETRY_LOOK)

    def _stop_accepting(self, grace: float) -> threading.Event:
        """Take no more calls; return the event that all have ended."""
        try:
            return self._grpc.stop(grace)
        except RuntimeError:  # no thread can be started to wait; the first part is done
            return threading.Event()


def _may_fail(config: Config) -> bool:
    """Return whether building an engine may fail because of the settings; `start` then builds it."""
    return bool(
        config.isolation != IsolationKind.NONE
        or config.allow_docker
        or config.limits
        or config.tool_inputs
        or config.record is not None
    )
