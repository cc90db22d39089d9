"""Shrinking a history to the requests that are needed to show a leak. Pure: the oracle is a function.

First, repeated bisection for the shortest guilty prefix finds the last guilty request, then the one
before it, and so on: about m·log2(n) questions for m guilty requests among n. The rest goes through
ddmin (Zeller, 2002) until no single request can be left out. Requests that clean up after others would
mislead bisection alone, and ddmin alone asks several times as often. Neither assumes that one request
alone causes the leak.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Oracle(Generic[T]):
    """A memory of answers with a limited number of questions.

    Args:
        is_guilty: returns whether a sequence still shows the leak.
        questions: number of questions that may be asked. After that every other sequence counts as
            innocent, so that the smallest set known by then is the result.
    """

    def __init__(self, is_guilty: Callable[[tuple[T, ...]], bool], questions: int) -> None:
        self._is_guilty = is_guilty
        self._left = questions
        self._known: dict[tuple[T, ...], bool] = {}

    def __call__(self, items: Sequence[T]) -> bool:
        """Return whether ``items`` show the leak."""
        key = tuple(items)
        if key not in self._known:
            if self._left <= 0:
                return False
            self._left -= 1
            self._known[key] = self._is_guilty(key)
        return self._known[key]


def minimise(
    items: Sequence[T],
    is_guilty: Callable[[tuple[T, ...]], bool],
    *,
    max_questions: int = 400,
) -> tuple[T, ...]:
    """Return a guilty part of ``items``, in their order, from which no element can be left out.

    Args:
        items: a guilty sequence; the oracle is not asked about all of it.
        is_guilty: the oracle.
        max_questions: number of questions after which the smallest guilty part so far is returned.
    """
    oracle = Oracle(is_guilty, max_questions)
    return _ddmin(_by_prefixes(tuple(items), oracle), oracle)


def simplify_order(
    items: Sequence[T], is_guilty: Callable[[tuple[T, ...]], bool], key: Callable[[T], int]
) -> tuple[T, ...]:
    """Return ``items`` sorted by ``key`` if that is guilty too, else unchanged."""
    tidy = tuple(sorted(items, key=key))
    return tidy if tidy != tuple(items) and is_guilty(tidy) else tuple(items)


def _by_prefixes(items: tuple[T, ...], oracle: Oracle[T]) -> tuple[T, ...]:
    """Shorten the open part while open part + kept part stays guilty; return the kept part."""
    kept: tuple[T, ...] = ()
    while items:
        if kept and oracle(kept):
            return kept
        # The prefix of length high is guilty, the one of length low is not.
        low, high = 0, len(items)
        while high - low > 1:
            middle = (low + high) // 2
            if oracle(items[:middle] + kept):
                high = middle
            else:
                low = middle
        kept = (items[high - 1], *kept)
        items = items[: high - 1]
    return kept


def _ddmin(items: tuple[T, ...], oracle: Oracle[T]) -> tuple[T, ...]:
    """Leave out ever smaller pieces as long as the rest is guilty; return the rest."""
    pieces = 2
    while len(items) >= 2:
        size = -(-len(items) // pieces)
        rests = [items[:at] + items[at + size :] for at in range(0, len(items), size)]
        smaller = next((rest for rest in rests if rest and oracle(rest)), None)
        if smaller is not None:
            items, pieces = smaller, max(2, pieces - 1)
        elif size == 1:
            break
        else:
            pieces = min(len(items), pieces * 2)
    return items
