"""Telling work that nobody wants its result any more."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator

from rpw_fixture.errors import Code, RequestError


class CancelToken:
    """A flag that is raised once, and calls back whoever is at work when that happens."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._is_cancelled

    def cancel(self) -> None:
        """Raise the flag and calls back; later calls do nothing."""
        with self._lock:
            if self._is_cancelled:
                return
            self._is_cancelled = True
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    @contextlib.contextmanager
    def calling(self, callback: Callable[[], None]) -> Iterator[None]:
        """Within the block, a cancellation calls ``callback``, at once if it has happened already."""
        with self._lock:
            self._callbacks.append(callback)
            is_late = self._is_cancelled
        if is_late:
            callback()
        try:
            yield
        finally:
            with self._lock:
                self._callbacks.remove(callback)

    def check(self) -> None:
        """Do nothing, unless cancelled.

        Raises:
            RequestError: CANCELLED.
        """
        if self._is_cancelled:
            raise RequestError(Code.CANCELLED, "the operation was cancelled")
