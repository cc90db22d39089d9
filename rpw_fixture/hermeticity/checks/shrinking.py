"""Shrinking a history to what is needed to see a leak again. Pure: the oracle is a function.

First the shortest guilty prefix is searched by bisection again and again, which finds the last guilty
request, then the one before it, and so on: about m·log2(n) questions for m guilty among n. What is left
then goes through ddmin (Zeller, 2002) until no single request can be left out. Bisection alone would
be misled by requests that clean up after others, ddmin alone asks several times as often; neither takes
it for granted that one request is to blame alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Oracle(Generic[T]):
    """Remembers answers, and asks no more than so many questions.

    Args:
        is_guilty: whether a sequence still shows the leak.
        questions: how many may be asked; from then on everything counts as innocent, so that the
            smallest set known by then is the result.
    """

    def __init__(self, is_guilty: Callable[[tuple[T, ...]], bool], questions: int) -> None:
        self._is_guilty = is_guilty
        self._left = questions
        self._known: dict[tuple[T, ...], bool] = {}

    def __call__(self, items: Sequence[T]) -> bool:
        """Whether ``items`` show the leak."""
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
    """A part of ``items``, in their order, that is guilty and none of whose elements is dispensable.

    Args:
        items: a guilty sequence; this is not asked again.
        is_guilty: the oracle.
        max_questions: after so many the smallest guilty part known by then is returned.
    """
    oracle = Oracle(is_guilty, max_questions)
    return _ddmin(_by_prefixes(tuple(items), oracle), oracle)


def simplify_order(
    items: Sequence[T], is_guilty: Callable[[tuple[T, ...]], bool], key: Callable[[T], int]
) -> tuple[T, ...]:
    """``items`` sorted by ``key`` if that is guilty too, else as they are."""
    tidy = tuple(sorted(items, key=key))
    return tidy if tidy != tuple(items) and is_guilty(tidy) else tuple(items)


def _by_prefixes(items: tuple[T, ...], oracle: Oracle[T]) -> tuple[T, ...]:
    """Keeps (open part) + (kept part) guilty while the open part gets shorter."""
    kept: tuple[T, ...] = ()
    while items:
        if kept and oracle(kept):
            return kept
        low, high = (
            0,
            len(items),
        )  # the prefix of length high is guilty, the one of length low isn't
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
    """Leaves out ever smaller pieces as long as the rest is guilty."""
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
