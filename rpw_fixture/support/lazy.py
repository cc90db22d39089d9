"""A value that is built when it is needed for the first time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from rpw_fixture.errors import Code, RequestError
from rpw_fixture.support.closing import Closeable

T = TypeVar("T", bound=Closeable)


class Lazy(Closeable, Generic[T]):
    """A value of a server, built once, by the first thread that needs it.

    Args:
        build: makes the value; after a failure it is called again the next time.
    """

    __slots__ = ("_build", "_is_closed", "_lock", "_value")

    def __init__(self, build: Callable[[], T]) -> None:
        self._build = build
        self._lock = threading.Lock()
        self._value: T | None = None
        self._is_closed = False

    @property
    def known(self) -> T | None:
        """The value, None if it was not built yet."""
        return self._value

    def get(self) -> T:
        """Return the value, built if necessary.

        Raises:
            RequestError: UNAVAILABLE once it is closed; all exceptions of ``build`` too.
        """
        value = self._value
        if value is not None:
            return value
        with self._lock:
            if self._is_closed:
                raise RequestError(Code.UNAVAILABLE, "the server is stopping")
            if self._value is None:
                self._value = self._build()
            return self._value

    def close(self) -> None:
        """Close the value if it was built, and never build it afterwards."""
        with self._lock:
            self._is_closed = True
            value = self._value
        if value is not None:
            value.close()
