"""Shards: parts of one check, for machines that run them at the same time.

A shard has some of the workers. The check of a worker with many actions is split once more, into pieces
that several shards share; `checks.pieces` says what a piece is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.suite import Suite

#: A worker is split if it is more than this multiple of what each shard would get at best: a split costs
#: some trials twice.
_UNEVEN = 1.5


class Part(NamedTuple):
    """What a shard checks of one worker.

    Attributes:
        suite: the worker and its actions.
        pieces: numbers of the pieces of its check, in order.
        weight: the work, in actions.
    """

    suite: Suite
    pieces: tuple[int, ...]
    weight: float

    @property
    def is_first(self) -> bool:
        """Whether it also does what is done once for the worker."""
        return 0 in self.pieces


class Shard(NamedTuple):
    """One of several shards.

    Attributes:
        number: its number, from 1 on.
        total: number of all shards.
    """

    number: int
    total: int

    def __str__(self) -> str:
        return f"{self.number}/{self.total}"

    @property
    def is_first(self) -> bool:
        """Whether it also does what is done once, for all workers together."""
        return self.number == 1

    def parts(self, suites: Sequence[Suite], pieces: Sequence[float] = (1.0,)) -> list[Part]:
        """Return what this shard checks; all shards have about the same number of actions.

        Args:
            suites: the workers.
            pieces: the work of each piece into which the check of a worker can be split.

        Raises:
            ConfigError: there are more shards than pieces of work.
        """
        units = self._units(suites, pieces)
        if self.total > max(1, len(units)):
            raise ConfigError(
                f"--shard {self}: the checks of {len(suites)} workers can be split into "
                f"{len(units)} parts at most. Fix: --shard I/{len(units)}"
            )
        loads = [0.0] * self.total
        chosen: list[_Unit] = []
        for unit in sorted(units, key=lambda each: each.weight, reverse=True):
            lightest = loads.index(min(loads))
            loads[lightest] += unit.weight
            if lightest == self.number - 1:
                chosen.append(unit)
        return [
            _joined(suite, [each for each in chosen if each.place == place])
            for place, suite in enumerate(suites)
            if any(each.place == place for each in chosen)
        ]

    def _units(self, suites: Sequence[Suite], pieces: Sequence[float]) -> list[_Unit]:
        """Return what can be given to shards: whole workers, and the pieces of those that are too large."""
        every = tuple(range(len(pieces)))
        units = [_Unit(float(len(each.actions)), n, every) for n, each in enumerate(suites)]
        best = sum(each.weight for each in units) / self.total
        while whole := [each for each in units if len(each.pieces) > 1]:
            largest = max(whole, key=lambda each: each.weight)
            if len(units) >= self.total and largest.weight <= _UNEVEN * best:
                break
            units.remove(largest)
            for number, work in enumerate(pieces):
                weight = largest.weight * work / sum(pieces)
                units.append(_Unit(weight, largest.place, (number,)))
        return units


class _Unit(NamedTuple):
    """Some pieces of the check of a worker, which is named by its place; the weight is in actions."""

    weight: float
    place: int
    pieces: tuple[int, ...]


def _joined(suite: Suite, units: Sequence[_Unit]) -> Part:
    pieces = sorted(piece for each in units for piece in each.pieces)
    return Part(suite, tuple(pieces), sum(each.weight for each in units))


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


def allotted(seconds: float | None, part: Part, rest: Sequence[Part]) -> float | None:
    """Return the part of the time that is left which a worker gets, by its number of actions.

    Args:
        seconds: what is left; None for no limit.
        part: the part of the worker.
        rest: the parts that are not checked yet, with this one.
    """
    if seconds is None:
        return None
    return seconds * part.weight / max(1.0, sum(each.weight for each in rest))
