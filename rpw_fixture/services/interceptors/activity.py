"""Measures how long a server has been idle."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rpw_fixture.services.base import Call, Handler
    from rpw_fixture.wire.protos import Method


class Activity:
    """Counts open calls, and the time since the last one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open = 0
        self._last = time.monotonic()

    @property
    def idle_seconds(self) -> float:
        """Seconds since the last call ended; 0 while one is open."""
        with self._lock:
            return 0.0 if self._open else time.monotonic() - self._last

    def interceptor(self, _method: Method, handler: Handler) -> Handler:
        """Return a handler that counts each call until gRPC reports its end."""

        def counted(request: Any, call: Call) -> Any:
            with self._lock:
                self._open += 1
            if not call.context.add_callback(self._end):
                self._end()
            return handler(request, call)

        return counted

    def _end(self) -> None:
        with self._lock:
            self._open -= 1
            self._last = time.monotonic()
