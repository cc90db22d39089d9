"""Request orders that cover every ordered pair. Pure.

In a row-complete Latin square (Williams, 1949) every ordered pair of symbols is adjacent in some row:
n rows of n requests cover all n·(n−1) ordered pairs with only n cold starts.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


def pair_covering(items: Sequence[T]) -> list[tuple[T, ...]]:
    """Return sequences in which each ordered pair of different items is adjacent at least once.

    For an even number n of items these are n permutations. For an odd number they are the n + 1 rows
    of the next larger square without its last symbol; its neighbours become adjacent, which does no
    harm.
    """
    count = len(items)
    if count < 2:
        return [tuple(items)] if items else []
    size = count + count % 2
    return [tuple(items[symbol] for symbol in row if symbol < count) for row in _williams(size)]


def at_random(items: Sequence[T], *, length: int, count: int, seed: int) -> list[tuple[T, ...]]:
    """Return ``count`` random sequences of items, with repetitions; equal for equal seeds."""
    source = random.Random(seed)  # noqa: S311 - for variety, not for secrets
    return [tuple(source.choices(items, k=length)) for _ in range(count)] if items else []


def _williams(size: int) -> list[list[int]]:
    """Return the square of even ``size``: the zigzag 0, 1, n−1, 2, n−2, … and all its shifts."""
    zigzag = [0]
    zigzag += [(step + 1) // 2 if step % 2 else size - step // 2 for step in range(1, size)]
    return [[(each + shift) % size for each in zigzag] for shift in range(size)]
