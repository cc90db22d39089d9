"""Trying changes: the tests as they are, then with one change after another."""

from __future__ import annotations

import json
import queue
import re
import time
import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from tests.mutation.boxes import Box
from tests.mutation.changes import Change
from tests.mutation.selection import Selection

_T = TypeVar("_T")
_R = TypeVar("_R")
#: A run may take this many times as long as without a change, and so many seconds more.
_FACTOR, _EXTRA = 3.0, 30.0
_NO_TESTS_LEFT = 5
#: The tests are measured in this many runs, so that a failure of pytest itself costs few of them.
_PARTS = 8
_OPTIONS = ("-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", "--capture=fd")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", re.MULTILINE)
#: How many tests may fail once and pass when they are asked again, before no more are asked.
_MOST_DOUBTFUL = 3


class Verdict(StrEnum):
    """What the tests made of a change."""

    CAUGHT = "caught"
    SURVIVED = "survived"
    EQUIVALENT = "equivalent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A change that was tried.

    Attributes:
        change: what was changed.
        verdict: what came of it.
        by: the test that noticed it, or "time limit"; for an equivalent the reason.
        seconds: how long that took.
    """

    change: Change
    verdict: Verdict
    by: str
    seconds: float


@dataclass(slots=True, kw_only=True)
class Baseline:
    """The tests without a change.

    Attributes:
        seconds: how long each test file takes, by its path.
        failing: tests that fail in a box anyway; they are left out.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    failing: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        """Keep it for another run of the same code."""
        path.write_text(json.dumps({"seconds": self.seconds, "failing": self.failing}))

    @classmethod
    def read(cls, path: Path) -> Baseline:
        """Return what `write` kept."""
        return cls(**json.loads(path.read_text()))


class Trials:
    """Tries changes, one in each box at a time.

    Args:
        boxes: copies of the same checkout.
        report: called with each line for people.
    """

    def __init__(self, boxes: Sequence[Box], report: Callable[[str], None]) -> None:
        self._all = boxes
        self._boxes: queue.SimpleQueue[Box] = queue.SimpleQueue()
        for box in boxes:
            self._boxes.put(box)
        self._report = report

    def measure(self, files: Iterable[str]) -> Baseline:
        """Run test files without a change, and find out how long each takes and what fails."""
        parts = [each for number in range(_PARTS) if (each := sorted(files)[number::_PARTS])]
        baseline = Baseline()

        def measure(part: Sequence[str]) -> None:
            with self._box() as box:
                self._measure(box, part, baseline)

        self._for_each(measure, parts)
        return baseline

    def _measure(self, box: Box, files: Sequence[str], baseline: Baseline) -> None:
        report = box.copy / "report.xml"
        done = box.run(
            (*_OPTIONS, "-o", "junit_family=xunit1", f"--junitxml={report}", *files), None
        )
        if done is None or not report.exists():
            self._report(f"not used, pytest was ended: {' '.join(files)}")
            return
        for each in _FAILED.findall(done.stdout):
            self._report(f"not used, it fails without a change: {each}")
            baseline.failing.append(each)
        for file, seconds in _seconds_of(report):
            if file not in baseline.failing:  # of which nothing can be collected
                baseline.seconds[file] = baseline.seconds.get(file, 0.0) + seconds

    @contextmanager
    def _box(self) -> Iterator[Box]:
        """Have a box alone while the block runs."""
        box = self._boxes.get()
        try:
            yield box
        finally:
            self._boxes.put(box)

    def try_all(
        self, changes: Iterable[Change], baseline: Baseline, selection: Selection
    ) -> list[Trial]:
        """Try each change; in the order of ``changes``."""

        def attempt(change: Change) -> Trial:
            with self._box() as box:
                trial = self._try(box, change, baseline, selection)
            self._report(
                f"{trial.verdict} ({trial.seconds:.0f} s, {trial.by}): {change.description}"
            )
            return trial

        return self._for_each(attempt, changes)

    def _for_each(self, do: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
        """Do something with each item, in as many threads as there are boxes; end all if interrupted."""
        with ThreadPoolExecutor(len(self._all)) as threads:
            try:
                return list(threads.map(do, items))
            except BaseException:
                threads.shutdown(wait=False, cancel_futures=True)
                for box in self._all:
                    box.stop()
                raise

    def _try(self, box: Box, change: Change, baseline: Baseline, selection: Selection) -> Trial:
        began = time.monotonic()
        by = ""
        with box.changed(change):
            for files in (selection.first(change.module), selection.rest(change.module)):
                by = by or _noticed_by(box, files, baseline)
        verdict = Verdict.CAUGHT if by else Verdict.SURVIVED
        return Trial(change=change, verdict=verdict, by=by, seconds=time.monotonic() - began)


def _noticed_by(box: Box, files: Sequence[str], baseline: Baseline) -> str:
    """Return the test that fails, "" when none does."""
    if not files:
        return ""
    left_out = [
        f"--deselect={each}" for each in baseline.failing if each.partition("::")[0] in files
    ]
    limit = sum(baseline.seconds[each] for each in files) * _FACTOR + _EXTRA
    for _ in range(_MOST_DOUBTFUL):
        done = box.run((*_OPTIONS, "-x", *left_out, *files), limit)
        if done is None:
            return "time limit"
        if done.returncode in {0, _NO_TESTS_LEFT}:
            return ""
        found = _FAILED.search(done.stdout)
        if found is None:
            return f"pytest ended with {done.returncode}"
        # A test that fails now and then has noticed nothing.
        again = box.run((*_OPTIONS, found[1]), limit)
        if again is None or again.returncode:
            return found[1]
        left_out.append(f"--deselect={found[1]}")
    return ""


def _seconds_of(report: Path) -> Iterator[tuple[str, float]]:
    """Generate the file and the seconds of each test of a report that was not skipped."""
    for case in ET.parse(report).iter("testcase"):
        if all(each.tag != "skipped" for each in case):
            yield case.get("file", ""), float(case.get("time", "0"))
    report.unlink()


def by_room(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """Return trials by the folder of the package in which the change was made."""
    rooms: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        parts = trial.change.module.split("/")
        rooms[parts[1] if len(parts) > 2 else "."].append(trial)
    return dict(sorted(rooms.items()))
