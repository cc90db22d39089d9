"""A bounded cache of results that are computed from content that never changes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Memo(Generic[K, V]):
    """Values by key; the oldest are dropped when their total weight exceeds ``limit``.

    Args:
        limit: the largest total weight.
        weigh: returns the weight of a value; by default each weighs 1.

    Attributes:
        get: returns the value kept for a key, None if there is none. It is the dictionary's own method,
            because an action asks dozens of times.
    """

    __slots__ = ("_limit", "_lock", "_values", "_weigh", "_weight", "get")

    def __init__(self, limit: int, weigh: Callable[[V], int] | None = None) -> None:
        self._limit = limit
        self._weigh = weigh or (lambda _: 1)
        self._weight = 0
        self._lock = threading.Lock()
        self._values: dict[K, V] = {}
        self.get: Callable[[K], V | None] = self._values.get

    def put(self, key: K, value: V) -> V:
        """Keep ``value``, unless a value is kept already; return the kept one."""
        with self._lock:
            known = self._values.setdefault(key, value)
            if known is value:
                self._weight += self._weigh(value)
                if self._weight > self._limit:
                    self._forget_oldest()
        return known

    def replace(self, key: K, value: V) -> V:
        """Keep ``value``, in place of another one if there is one; return it."""
        with self._lock:
            before = self._values.get(key)
            self._values[key] = value
            self._weight += self._weigh(value) - (0 if before is None else self._weigh(before))
            if self._weight > self._limit:
                self._forget_oldest()
        return value

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._values.clear()
            self._weight = 0

    def _forget_oldest(self) -> None:
        # A quarter at once, so that this happens rarely.
        for key in list(self._values):
            if self._weight <= self._limit * 3 // 4:
                break
            self._weight -= self._weigh(self._values.pop(key))
