"""Cancelling work whose result is no longer needed."""

from __future__ import annotations

import threading
from collections.abc import Callable

from rpw_fixture.errors import Code, RequestError


class CancelToken:
    """A flag that is set once, and then calls all registered callbacks."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._is_cancelled = False

    @property
    def is_cancelled(self) -> bool:
        """Whether `cancel` was called."""
        return self._is_cancelled

    def cancel(self) -> None:
        """Set the flag and call all callbacks; later calls do nothing."""
        with self._lock:
            if self._is_cancelled:
                return
            self._is_cancelled = True
            callbacks = list(self._callbacks)
        for callback in callbacks:
            callback()

    def calling(self, callback: Callable[[], None]) -> Calling:
        """Call ``callback`` on a cancellation within the block, at once if it has happened already."""
        return Calling(self, callback)

    def add(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` on a cancellation, at once if it has happened already."""
        with self._lock:
            self._callbacks.append(callback)
            is_late = self._is_cancelled
        if is_late:
            callback()

    def discard(self, callback: Callable[[], None]) -> None:
        """Undo one `add`."""
        with self._lock:
            self._callbacks.remove(callback)

    def check(self) -> None:
        """Raise if cancelled.

        Raises:
            RequestError: CANCELLED.
        """
        if self._is_cancelled:
            raise RequestError(Code.CANCELLED, "the operation was cancelled")


class Calling:
    """The block of `CancelToken.calling`; a generator would take twice the time."""

    __slots__ = ("_callback", "_token")

    def __init__(self, token: CancelToken, callback: Callable[[], None]) -> None:
        self._token = token
        self._callback = callback

    def __enter__(self) -> None:
        self._token.add(self._callback)

    def __exit__(self, *_: object) -> None:
        self._token.discard(self._callback)
