"""Shards: parts of the workers of one recording, for machines that check them at the same time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.suite import Suite


class Shard(NamedTuple):
    """One of several parts.

    Attributes:
        number: its number, from 1 on.
        total: number of all parts.
    """

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def is_first(self) -> bool:
        """Whether it also does what is done once, for all workers together."""
        return self.number == 1

    def part(self, suites: Sequence[Suite]) -> list[Suite]:
        """Return the suites of this part; all parts have about the same number of actions.

        Raises:
            ConfigError: there are more parts than workers.
        """
        if self.total > len(suites):
            raise ConfigError(
                f"--shard {self}: a worker is checked on one machine, and there are only "
                f"{len(suites)} of them. Fix: --shard I/{len(suites)}"
            )
        parts: list[list[Suite]] = [[] for _ in range(self.total)]
        for suite in sorted(suites, key=lambda each: len(each.actions), reverse=True):
            min(parts, key=lambda part: sum(len(each.actions) for each in part)).append(suite)
        chosen = parts[self.number - 1]
        return [each for each in suites if any(each is one for one in chosen)]


#: Everything.
WHOLE = Shard(1, 1)


def parse(text: str) -> Shard:
    """Return the shard that ``I/N`` names.

    Raises:
        ValueError: it is no such text, or I is not from 1 to N.
    """
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal()):
        raise ValueError(f"{text!r} is not I/N, such as 1/4")
    if not 1 <= int(number) <= int(count):
        raise ValueError(f"{text!r}: the first number is not from 1 to {count}")
    return Shard(int(number), int(count))


def allotted(seconds: float | None, suite: Suite, rest: Sequence[Suite]) -> float | None:
    """Return the part of the time that is left which a suite gets, by its number of actions.

    Args:
        seconds: what is left; None for no limit.
        suite: the suite.
        rest: the suites that are not checked yet, with this one.
    """
    if seconds is None:
        return None
    return seconds * len(suite.actions) / max(1, sum(len(each.actions) for each in rest))
