"""A bounded memory of what was worked out from content that never changes."""

from __future__ import annotations

from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """Values by key; the oldest go when there are more than ``limit``.

    Single operations on a dict are atomic, and a value lost to a race is merely worked out again, so
    this takes no lock.
    """

    __slots__ = ("_limit", "_values")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._values: dict[K, V] = {}

    def get(self, key: K) -> V | None:
        """The value kept for ``key``, if it still is."""
        return self._values.get(key)

    def put(self, key: K, value: V) -> V:
        """Keeps and returns ``value``."""
        if len(self._values) >= self._limit:
            for oldest in list(self._values)[: self._limit // 4 + 1]:
                self._values.pop(oldest, None)
        self._values[key] = value
        return value

    def clear(self) -> None:
        """Forgets everything."""
        self._values.clear()
