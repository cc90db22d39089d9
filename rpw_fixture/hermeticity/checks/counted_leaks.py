"""Leaks that only the number of earlier requests causes: a counter, a cache that is full, a limit.

For these, "any 25 requests" says more than the names of 25 actions, and is found with few questions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from rpw_fixture.hermeticity.checks.context import names, titles
from rpw_fixture.hermeticity.trials.trial import Step

#: Fewer polluters are always named.
_FEWEST = 3


@dataclass(frozen=True, slots=True)
class Polluters:
    """The requests that must come before a victim.

    Attributes:
        steps: the requests, in order.
        is_any: any other requests of the same number have the same effect.
    """

    steps: tuple[Step, ...]
    is_any: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        """The names of their actions."""
        return names(self.steps)

    @property
    def title(self) -> str:
        """The requests in words."""
        return f"any {len(self.steps)} requests" if self.is_any else titles(self.steps)


def find(
    before: tuple[Step, ...],
    victim: Step,
    other: Step | None,
    is_guilty: Callable[[tuple[Step, ...]], bool],
) -> Polluters | None:
    """Return the smallest number of requests that shows a leak; None if more than the number matters.

    Args:
        before: the requests before the victim in the run that showed the leak.
        victim: the request with the wrong result.
        other: a request of another action, to tell whether it matters which requests these are.
        is_guilty: whether requests before the victim show the leak.
    """
    # A request that fails early is often not counted by the worker.
    counted = sum(each.action.exit_code == 0 for each in before)
    lengths = (each for each in dict.fromkeys((len(before), counted)) if each >= _FEWEST)
    count = next((each for each in lengths if is_guilty((victim,) * each)), 0)
    if not count:
        return None
    low = 0
    while count - low > 1:
        middle = (low + count) // 2
        low, count = (low, middle) if is_guilty((victim,) * middle) else (middle, count)
    if count >= _FEWEST and other is not None and _is_exact((other,) * count, is_guilty):
        return Polluters((victim,) * count, is_any=True)
    return Polluters((victim,) * count) if set(before) == {victim} else None


def _is_exact(before: tuple[Step, ...], is_guilty: Callable[[tuple[Step, ...]], bool]) -> bool:
    """Return whether these requests show the leak, and one fewer do not."""
    return is_guilty(before) and not is_guilty(before[1:])
