"""The tests without a change: how long each takes, what fails, and which lines of the package each runs."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """A test that passed without a change.

    Attributes:
        id: its name for pytest.
        seconds: how long it took.
        starts_programs: it runs the package in other processes, in which no lines are seen.
    """

    id: str
    seconds: float
    starts_programs: bool = False

    @property
    def file(self) -> str:
        """The file it stands in."""
        return self.id.partition("::")[0]


@dataclass(slots=True, kw_only=True)
class Baseline:
    """The tests that changes are tried with.

    Attributes:
        tests: all that passed.
        lines: by module and line, a number with one bit for each of ``tests`` that runs the line.
    """

    tests: list[Measured] = field(default_factory=list)
    lines: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))

    def add(self, path: Path) -> list[str]:
        """Take in what `tests.mutation.reaching` wrote; return the tests that failed."""
        there = json.loads(path.read_text())
        shift = len(self.tests)
        kept = [number for number, each in enumerate(there["tests"]) if each["outcome"] == "passed"]
        self.tests += [_measured(there["tests"][number]) for number in kept]
        for module, masks in there["lines"].items():
            lines = self.lines[module]
            for line, mask in masks.items():
                bits = _gathered(int(mask, 16), kept) << shift
                lines[int(line)] = lines.get(int(line), 0) | bits
        return [each["id"] for each in there["tests"] if each["outcome"] == "failed"]

    def running(self, module: str, lines: Iterable[int]) -> list[Measured]:
        """Return the tests that run one of some lines."""
        masks = self.lines.get(module, {})
        mask = 0
        for line in lines:
            mask |= masks.get(line, 0)
        return [each for number, each in enumerate(self.tests) if mask >> number & 1]

    def write(self, path: Path) -> None:
        """Keep it for another run of the same code."""
        lines = {
            module: {line: f"{mask:x}" for line, mask in masks.items()}
            for module, masks in self.lines.items()
        }
        path.write_text(
            json.dumps({"tests": [asdict(each) for each in self.tests], "lines": lines})
        )

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Return what `write` kept."""
        there = json.loads(path.read_text())
        lines = {
            module: {int(line): int(mask, 16) for line, mask in masks.items()}
            for module, masks in there["lines"].items()
        }
        return cls(tests=[Measured(**each) for each in there["tests"]], lines=lines)


def _measured(test: dict[str, Any]) -> Measured:
    return Measured(id=test["id"], seconds=test["seconds"], starts_programs=test["starts_programs"])


def _gathered(mask: int, kept: Iterable[int]) -> int:
    """Return the bits of ``mask`` at the places ``kept``, side by side."""
    return sum((mask >> old & 1) << new for new, old in enumerate(kept))
