"""Finds the smallest part of some candidates that is enough, by halving. Pure: the oracle is a function.

This is QuickXplain (Junker, 2004): about 2·log2(n) questions where one candidate is enough.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")


class OutOfQuestionsError(Exception):
    """The budget is spent before the smallest part is known."""


def smallest(
    items: Sequence[T], is_enough: Callable[[tuple[T, ...]], bool], *, questions: int
) -> tuple[T, ...]:
    """Return a part of ``items`` that is enough, and of which nothing can be left out.

    Args:
        items: all candidates, which are known to be enough together.
        is_enough: the oracle; more items than enough are enough as well.
        questions: number of questions that may be asked.

    Raises:
        OutOfQuestionsError: more questions would be needed.
    """
    known: dict[frozenset[int], bool] = {}

    def asked(numbers: Sequence[int]) -> bool:
        key = frozenset(numbers)
        if key not in known:
            if len(known) >= questions:
                raise OutOfQuestionsError
            known[key] = is_enough(tuple(items[each] for each in sorted(key)))
        return known[key]

    def needed(base: list[int], is_base_new: bool, rest: list[int]) -> list[int]:
        if is_base_new and asked(base):
            return []
        if len(rest) == 1:
            return rest
        left, right = rest[: len(rest) // 2], rest[len(rest) // 2 :]
        of_right = needed([*base, *left], True, right)
        of_left = needed([*base, *of_right], bool(of_right), left)
        return [*of_left, *of_right]

    found = needed([], False, list(range(len(items))))
    return tuple(items[each] for each in sorted(found))
