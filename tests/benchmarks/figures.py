"""The results of benchmarks: a figure with its floor and its target, and the table of all of them.

Nothing here measures.
"""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

_SUMMARY_COLUMNS = ("figure", "ours", "ratio", "in runs", "target", "met in", "the floor is")
_COLUMNS = ("figure", "ours", "floor", "ratio", "target", "met", "peers", "samples", "the floor is")


class Effort(Enum):
    """How much is measured: enough to see that it works, for an estimate, or for a report."""

    SMOKE = "smoke"
    QUICK = "quick"
    FULL = "full"

    def pick(self, *, smoke: int, quick: int, full: int) -> int:
        """The count for this effort."""
        return {Effort.SMOKE: smoke, Effort.QUICK: quick, Effort.FULL: full}[self]


class UnavailableError(Exception):
    """This machine lacks something that a family of figures needs; the message says what."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """One measured figure; smaller is better.

    Attributes:
        name: what was measured.
        ours: the median, in ``unit``.
        unit: of ``ours`` and ``floor``.
        floor: the median of what no server can go below, measured in the same run; None: nothing.
        floor_name: what the floor consists of.
        target: the most that the ratio may be, or, without a floor, ``ours`` itself; None: none.
        is_floor_informative: the floor only stands beside; the target is for ``ours`` itself.
        peers: what others need for the same, by name, in ``unit``.
        samples: how many went into the median.
    """

    name: str
    ours: float
    unit: str = "ms"
    floor: float | None = None
    floor_name: str = ""
    target: float | None = None
    is_floor_informative: bool = False
    peers: Mapping[str, float] = field(default_factory=dict)
    samples: int = 1

    @property
    def ratio(self) -> float | None:
        """Ours over the floor."""
        return self.ours / self.floor if self.floor else None

    @property
    def is_met(self) -> bool | None:
        """The target is reached; None when there is none."""
        judged = self.ours if self._is_absolute else self.ratio
        return None if self.target is None or judged is None else judged <= self.target

    @property
    def _is_absolute(self) -> bool:
        return self.floor is None or self.is_floor_informative

    def as_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        return {**dataclasses.asdict(self), "ratio": self.ratio, "is_met": self.is_met}

    def row(self) -> tuple[str, ...]:
        """Its line of the table."""
        target = ""
        if self.target is not None:
            target = f"≤ {self.target:g} {self.unit if self._is_absolute else '×'}"
        return (
            self.name,
            _shown(self.ours, self.unit),
            _shown(self.floor, self.unit),
            "" if self.ratio is None else f"{self.ratio:.2f}",
            target,
            {True: "yes", False: "NO", None: ""}[self.is_met],
            ", ".join(f"{name} {_shown(value, self.unit)}" for name, value in self.peers.items()),
            str(self.samples),
            self.floor_name,
        )


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table, aligned for the eye."""
    return _aligned([_COLUMNS, *(figure.row() for figure in figures)])


def summary(figures: Sequence[Figure]) -> str:
    """A Markdown table of figures that were measured several times: medians, and how far apart they are."""
    runs: dict[str, list[Figure]] = {}
    for figure in figures:
        runs.setdefault(figure.name, []).append(figure)
    return _aligned([_SUMMARY_COLUMNS, *map(_summary_row, runs.values())])


def _summary_row(runs: Sequence[Figure]) -> tuple[str, ...]:
    first = runs[0]
    ratios = sorted(each.ratio for each in runs if each.ratio is not None)
    judged = [each.is_met for each in runs if each.is_met is not None]
    spread = f"{ratios[0]:.2f} to {ratios[-1]:.2f}" if ratios else ""
    return (
        first.name,
        _shown(statistics.median(each.ours for each in runs), first.unit),
        f"{statistics.median(ratios):.2f}" if ratios else "",
        spread,
        first.row()[_COLUMNS.index("target")],
        f"{sum(judged)} of {len(judged)}" if judged else "",
        first.floor_name,
    )


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [_line(row, widths) for row in rows]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines)


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    cells = (f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True))
    return f"| {' | '.join(cells)} |"


def _shown(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.3g} {unit}" if value < 100 else f"{value:.0f} {unit}"
