"""A file with a line for each run of a worker, so that a long table can be made in several goes."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path

from tests.hermeticity.unseen.verdict import Verdict


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a check of one worker said, with one seed.

    Attributes:
        worker: language and name.
        is_busy: two programs that only compute ran beside it.
        found: codes with their severity.
        is_found: one of the expected codes is among them.
        is_exact: all polluters are right; None if there are none to name.
        wrong: codes of findings that are not true.
    """

    worker: str
    seed: int
    is_busy: bool
    actions: int
    found: dict[str, str]
    is_found: bool
    is_exact: bool | None
    wrong: list[str]
    seconds: float
    starts: int

    @property
    def key(self) -> tuple[str, int, bool]:
        return self.worker, self.seed, self.is_busy


def of(verdict: Verdict, seed: int, *, is_busy: bool) -> Run:
    """Return the line for a verdict."""
    report = verdict.report
    return Run(
        worker=str(verdict.sample),
        seed=seed,
        is_busy=is_busy,
        actions=report.actions,
        found={each.code: str(each.severity) for each in reversed(report.findings)},
        is_found=verdict.is_found,
        is_exact=verdict.is_exact,
        wrong=sorted({each.code for each in verdict.wrong}),
        seconds=round(report.seconds, 1),
        starts=report.worker_starts,
    )


def read(file: Path) -> list[Run]:
    """Return the runs of a log, of equal ones the last; none if the file is not there."""
    lines = file.read_text().splitlines() if file.exists() else []
    runs = (Run(**json.loads(each)) for each in lines)
    return list({each.key: each for each in runs}.values())


def append(file: Path, run: Run) -> None:
    """Add a run to a log."""
    with file.open("a") as log:
        log.write(json.dumps(dataclasses.asdict(run)) + "\n")
