"""Trying changes: the tests as they are, then with one change after another."""

from __future__ import annotations

import bisect
import itertools
import queue
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from subprocess import CompletedProcess
from typing import TypeVar

from tests.mutation import reaching
from tests.mutation.baseline import Baseline, Measured
from tests.mutation.boxes import Box
from tests.mutation.changes import Change
from tests.mutation.selection import Selection

_T = TypeVar("_T")
_R = TypeVar("_R")
#: A run may take this many times as long as without a change, and this many seconds more.
_FACTOR, _EXTRA = 3.0, 30.0
#: Tests that take longer get this many times as long, once, before a change counts as noticed by that.
_MORE_TIME = 4.0
#: The quickest tests of a change, which run in a session of pytest before the others, seconds in all.
_QUICK = 10.0
#: The tests are measured in this many runs, so that a failure of pytest itself costs few of them.
_PARTS = 8
_OPTIONS = ("-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", "--capture=fd")
_FAILED = re.compile(r"^(?:FAILED|ERROR) (.+)$", re.MULTILINE)
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
        self._adding = threading.Lock()

    def measure(
        self, files: Iterable[str], marks: Sequence[str] = (), whole: Sequence[str] = ()
    ) -> Baseline:
        """Run test files without a change, and find out what each test runs and how long it takes.

        Args:
            files: where the tests are.
            marks: options of pytest that choose some of them.
            whole: files of which all tests are run, whatever ``marks`` say.
        """
        marked = sorted({*files} - {*whole})
        parts = [(*marks, *each) for number in range(_PARTS) if (each := marked[number::_PARTS])]
        parts += [tuple(whole)] if whole else []
        baseline = Baseline()

        def measure(part: Sequence[str]) -> None:
            with self._box() as box:
                self._measure(box, part, baseline)

        self._for_each(measure, parts)
        return baseline

    def _measure(self, box: Box, arguments: Sequence[str], baseline: Baseline) -> None:
        report = box.copy / "reached.json"
        plugin = ("-p", reaching.__name__)
        done = box.run((*_OPTIONS, *plugin, *arguments), None, {reaching.VARIABLE: str(report)})
        if done is None or not report.exists():
            self._report(f"not used, pytest was ended: {' '.join(arguments)}")
            return
        with self._adding:
            failed = baseline.add(report)
        report.unlink()
        for each in failed:
            self._report(f"not used, it fails without a change: {each}")

    @contextmanager
    def _box(self) -> Iterator[Box]:
        """Have a box alone while the block runs."""
        box = self._boxes.get()
        try:
            yield box
        finally:
            self._boxes.put(box)

    def try_all(self, changes: Iterable[Change], selection: Selection) -> list[Trial]:
        """Try each change; in the order of ``changes``."""

        def attempt(change: Change) -> Trial:
            with self._box() as box:
                trial = self._try(box, change, selection)
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

    def _try(self, box: Box, change: Change, selection: Selection) -> Trial:
        began = time.monotonic()
        by = ""
        with box.changed(change):
            for tests in _quick_and_others(selection.tests(change)):
                by = by or _noticed_by(box, tests)
        verdict = Verdict.CAUGHT if by else Verdict.SURVIVED
        return Trial(change=change, verdict=verdict, by=by, seconds=time.monotonic() - began)


def _quick_and_others(tests: Sequence[Measured]) -> tuple[list[Measured], list[Measured]]:
    """Part tests in two, so that a change with which nothing ends is noticed in a short time."""
    seconds = list(itertools.accumulate(each.seconds for each in tests))
    count = bisect.bisect_right(seconds, _QUICK)
    return list(tests[:count]), list(tests[count:])


def _noticed_by(box: Box, tests: Sequence[Measured]) -> str:
    """Return the test that fails, "" when none does."""
    left = {each.id: each.seconds for each in tests}
    for _ in range(_MOST_DOUBTFUL):
        if not left:
            return ""
        done = _run_patiently(box, ("-x", *left), _limit(left.values()))
        if done is None:
            return "time limit"
        if done.returncode == 0:
            return ""
        failed = _failed(done.stdout, left)
        if failed is None:
            return f"pytest ended with {done.returncode}"
        # A test that fails now and then has noticed nothing.
        again = _run_patiently(box, (failed,), _limit([left.pop(failed)]))
        if again is None or again.returncode:
            return failed
    return ""


def _run_patiently(
    box: Box, arguments: Sequence[str], limit: float
) -> CompletedProcess[str] | None:
    """Run tests, and once more with more time: a busy machine is not what the change did."""
    done = box.run((*_OPTIONS, *arguments), limit)
    return done or box.run((*_OPTIONS, *arguments), limit * _MORE_TIME)


def _limit(seconds: Iterable[float]) -> float:
    return sum(seconds) * _FACTOR + _EXTRA


def _failed(output: str, tests: Iterable[str]) -> str | None:
    """Return the test of which pytest says that it failed."""
    found = _FAILED.search(output)
    if found is None:
        return None
    return max((each for each in tests if found[1].startswith(each)), key=len, default=None)


def by_room(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """Return trials by the folder of the package in which the change was made."""
    rooms: dict[str, list[Trial]] = defaultdict(list)
    for trial in trials:
        parts = trial.change.module.split("/")
        rooms[parts[1] if len(parts) > 2 else "."].append(trial)
    return dict(sorted(rooms.items()))
