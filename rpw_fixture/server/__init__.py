"""The server: builds its parts from a config, starts and stops them. No other room puts parts together."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Self

from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError
from rpw_fixture.events.log import EventLog
from rpw_fixture.faults.registry import Faults
from rpw_fixture.server.running import RunningServer
from rpw_fixture.services.interceptors.counters import Counters
from rpw_fixture.services.listener import Listener
from rpw_fixture.testing.endpoint import Endpoint
from rpw_fixture.wire.digests import Digest, DigestFunctions
from rpw_fixture.workers import personalities


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
        if not isinstance(config, Config | None):
            raise ConfigError(f"{config!r} is no Config; pass settings as keywords: Server(jobs=2)")
        config = (config or Config()).replace(**settings)
        super().__init__(config, EventLog())
        self._functions = DigestFunctions(config.digest_functions)
        personalities.require(config.personality)
        self._listener = Listener.of(config)
        if config.web is not None:
            _require_private_page(config, self._listener)
        self._lock = threading.Lock()
        self._parts: RunningServer | None = None
        self._faults = Faults(config.faults, evict=self._evict)
        self._counters = Counters(counts_digests=config.count_digests)

    def start(self) -> Self:
        """Start to listen; return this server.

        Raises:
            EnvironmentLacksError: when the address can't be had, or a folder can't be used.
        """
        with self._lock:
            if self._parts is None:
                self._parts = RunningServer(
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
        """Take no more calls, let running actions end, end all processes, and remove all folders.

        Args:
            grace: seconds that running actions get; None for `Config.shutdown_grace`.
        """
        with self._lock:
            parts, self._parts = self._parts, None
        if parts is not None:
            self.close_client()
            parts.stop(self.config.shutdown_grace if grace is None else grace)

    def prepare(self) -> None:
        """Preload what the first call and the first action would load."""
        if self._parts is not None:
            self._parts.prepare()

    def reset(self) -> None:
        """Return to the initial state: end workers; forget blobs, results, operations, events, counters.

        Faults are those of the config again. The address stays.
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
        engine = self._parts.engine if self._parts is not None else None
        return engine.live_stderr() if engine is not None else {}

    @property
    def web_address(self) -> str | None:
        """Address of the live page; None without ``--web``, or when the server does not run."""
        return self._parts.web if self._parts is not None else None

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last call ended."""
        return self._parts.idle_seconds if self._parts is not None else 0.0

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()


def _require_private_page(config: Config, listener: Listener) -> None:
    from rpw_fixture.report.live import require_protection  # noqa: PLC0415 - few servers have a page

    require_protection(
        config.web or "", allows_remote=config.allow_remote, has_token=bool(listener.token)
    )
