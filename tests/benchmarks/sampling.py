"""Taking times so that two things can be compared on a machine that is never quite idle.

Steps run in turn, A B A B, so that whatever else the machine does meets all of them alike; medians
leave out what met only one.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

Step = Callable[[int], object]
_MS = 1000.0


def interleaved(rounds: int, *steps: Step, warm_up: int = 2) -> list[list[float]]:
    """How long each step took in each round, milliseconds.

    Args:
        rounds: how many are counted.
        steps: called with the number of the round, from 0 on, warm-up included.
        warm_up: rounds before those that count.
    """
    times: list[list[float]] = [[] for _ in steps]
    for number in range(warm_up + rounds):
        for step, taken in zip(steps, times, strict=True):
            begin = time.perf_counter()
            step(number)
            taken.append((time.perf_counter() - begin) * _MS)
    return [taken[warm_up:] for taken in times]


def median(times: Sequence[float]) -> float:
    """The middle one."""
    return statistics.median(times)


def median_sum(*times: Sequence[float]) -> float:
    """The median of what the steps of a round took together."""
    return statistics.median(map(sum, zip(*times, strict=True)))


def percentile(times: Sequence[float], percent: int) -> float:
    """The time that ``percent`` of 100 do not exceed."""
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)]
