"""The progress of a run of `check`: its phase, the share that is done, and the time that is left."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rpw_fixture.hermeticity.checks.check_list import Check
from rpw_fixture.hermeticity.findings import baseline
from rpw_fixture.hermeticity.findings.finding import Finding, Identity

#: How long each check takes, roughly, by the names of its module and function: per cent of a run with a
#: small Python worker. Others count as one.
_WEIGHTS = {
    "cold_runs.find": 9.0,
    "split_requests.find": 5.0,
    "one_shot.find": 3.0,
    "environment.find": 14.0,
    "input_listings.find": 8.0,
    "stale_inputs.find_start_up_reads": 5.0,
    "state_leaks.find": 11.0,
    "stale_inputs.find_stale": 3.0,
    "undeclared_access.find": 25.0,
    "unread_inputs.find": 4.0,
    "long_runs.find": 6.0,
    "cold_runs.find_late": 2.0,
}
#: A running phase never counts for more than this share of itself.
_MOST_OF_PHASE = 0.9
#: No time is estimated before this share is done.
_LEAST_SHARE = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a run at one time.

    Attributes:
        phase: what is checked now.
        share: how much is done, from 0 to 1.
        seconds_left: estimated time until the end; None while nothing is known.
        worker_starts, requests: numbers so far.
        findings: number of findings so far.
    """

    phase: str
    share: float
    seconds_left: float | None
    worker_starts: int
    requests: int
    findings: int


class ProgressTracker:
    """Follows a run; thread-safe.

    Args:
        on_finding: called with each finding when it is found; later checks may still withdraw it.
    """

    def __init__(self, on_finding: Callable[[Finding], None] = lambda _finding: None) -> None:
        self._on_finding = on_finding
        self._lock = threading.Lock()
        self._began = self._phase_began = time.monotonic()
        self._phase = "starting"
        self._suites, self._suite = 1, 0
        self._total = self._done = self._current = 0.0
        self._starts = self._requests = self._findings = 0
        self._earlier = (0, 0)

    def expect(self, suites: int) -> None:
        """Note how many suites will be checked."""
        with self._lock:
            self._suites = max(1, suites)

    def begin(self, checks: Sequence[Check]) -> None:
        """Note the checks of a suite, which are run now."""
        with self._lock:
            self._total = sum(map(weight, checks))
            self._done = self._current = 0.0
            self._earlier = self._starts, self._requests

    def enter(self, check: Check) -> None:
        """Note that a check begins, and that the one before has ended."""
        with self._lock:
            self._done += self._current
            self._current = weight(check)
            self._phase = _name(check)
            self._phase_began = time.monotonic()

    def finish(self) -> None:
        """Note that a suite is done."""
        with self._lock:
            self._suite += 1
            self._total = self._done = self._current = 0.0

    def count(self, starts: int, requests: int) -> None:
        """Note the numbers of worker starts and of requests of this suite so far."""
        with self._lock:
            self._starts = self._earlier[0] + starts
            self._requests = self._earlier[1] + requests

    def found(self, finding: Finding) -> None:
        """Note a finding."""
        with self._lock:
            self._findings += 1
        self._on_finding(finding)

    def now(self) -> Progress:
        """Return the state of the run."""
        with self._lock:
            share = self._share()
            seconds = time.monotonic() - self._began
            left = seconds / share * (1 - share) if share >= _LEAST_SHARE else None
            return Progress(
                phase=self._phase,
                share=share,
                seconds_left=left,
                worker_starts=self._starts,
                requests=self._requests,
                findings=self._findings,
            )

    def _share(self) -> float:
        of_suite = 0.0
        if self._total:
            now = time.monotonic()
            # The phases so far show how long one unit of weight takes here.
            elapsed = self._phase_began - self._began
            expected = elapsed / self._done * self._current if self._done and not self._suite else 0
            part = min(_MOST_OF_PHASE, (now - self._phase_began) / expected) if expected else 0.0
            of_suite = (self._done + part * self._current) / self._total
        return min(1.0, (self._suite + of_suite) / self._suites)


class Announcer:
    """Reports checks and findings to a tracker while they happen.

    Args:
        progress: the tracker; None for none.
        selected: codes that the user asked for; findings of others are not announced.
        accepted: findings that the baseline accepts.
    """

    def __init__(
        self,
        progress: ProgressTracker | None,
        selected: frozenset[str],
        accepted: frozenset[Identity],
    ) -> None:
        self._progress = progress
        self._selected = selected
        self._accepted = accepted
        self._seen: set[object] = set()

    def begin(self, checks: Sequence[Check]) -> None:
        """Announce the checks."""
        if self._progress is not None:
            self._progress.begin(checks)

    def enter(self, check: Check) -> None:
        """Announce that a check begins."""
        if self._progress is not None:
            self._progress.enter(check)

    def found(self, finding: Finding) -> None:
        """Announce a finding, once."""
        if self._progress is None or finding.code not in self._selected:
            return
        if finding.identity not in self._seen and baseline.identity(finding) not in self._accepted:
            self._seen.add(finding.identity)
            self._progress.found(finding)


def weight(check: Check) -> float:
    """Return how long a check takes, in per cent of a run with a small Python worker."""
    key = f"{check.find.__module__.rpartition('.')[2]}.{check.find.__name__}"
    return _WEIGHTS.get(key, 1.0)


def _name(check: Check) -> str:
    return check.find.__module__.rpartition(".")[2].replace("_", " ")
