"""Results of running an action, as values: the times it reached its stages, and how it ended."""

from __future__ import annotations

import time
from typing import NamedTuple

from rpw_fixture.wire.protos import remote_execution as reapi
from rpw_fixture.wire.protos import wkt
from rpw_fixture.workers.key import WorkerKey

#: The points in time of ExecutedActionMetadata in the order that it requires, each with its field.
_STAMPS = {
    point: f"{point}_timestamp"
    for point in (
        "queued",
        "worker_start",
        "input_fetch_start",
        "input_fetch_completed",
        "execution_start",
        "execution_completed",
        "output_upload_start",
        "output_upload_completed",
        "worker_completed",
    )
}
#: The phases of an action after the queue, and the point at which each has ended.
_PHASES = {
    "staged": "input_fetch_completed",
    "executed": "execution_completed",
    "collected": "output_upload_completed",
}


class Timeline:
    """The times at which an action reached its points, nanoseconds since the epoch; they never decrease."""

    def __init__(self) -> None:
        self._stamps: dict[str, int] = {}
        self._last = 0
        self._run_from = self._run_to = 0
        self.reach("queued")

    def reach(self, point: str) -> None:
        """Note that the action is at ``point`` now; a later call replaces the time of an earlier one."""
        self._last = max(self._last, time.time_ns())
        self._stamps[point] = self._last
        if point == "execution_start":
            self._run_from = time.monotonic_ns()
        elif point == "execution_completed":
            self._run_to = time.monotonic_ns()

    def take_over(self, other: Timeline) -> None:
        """Take the times after the start of the execution from ``other``."""
        points = ("execution_completed", "output_upload_start", "output_upload_completed")
        for point in points:
            if point in other._stamps:
                self._stamps[point] = self._last = max(self._last, other._stamps[point])
        self._run_to = other._run_to

    def phases(self) -> dict[str, float]:
        """Return when each phase ended, in seconds since the action was queued; ``replied`` ends now."""
        stamps, queued = self._stamps, self._stamps["queued"]
        now = max(self._last, time.time_ns())
        # An action may wait for a worker after it has left the queue of jobs.
        last = stamps.get("input_fetch_start") or stamps.get("worker_start", queued)
        phases = {"queued": (last - queued) / 1e9}
        for phase, point in _PHASES.items():
            last = max(last, stamps.get(point, last))
            phases[phase] = (last - queued) / 1e9
        phases["replied"] = (now - queued) / 1e9
        return phases

    def write_reached(self, metadata: reapi.ExecutedActionMetadata) -> None:
        """Write the timestamps of the points reached so far; any thread may call it."""
        for point, name in _STAMPS.items():
            stamp = self._stamps.get(point)
            if stamp is not None:
                _write(getattr(metadata, name), stamp)

    def write_to(self, metadata: reapi.ExecutedActionMetadata) -> None:
        """Write all timestamps; a point that was skipped gets the time of the one before."""
        last = self._stamps["queued"]
        for point, name in _STAMPS.items():
            last = max(last, self._stamps.get(point, last))
            _write(getattr(metadata, name), last)
        if self._run_to:
            _write(metadata.virtual_execution_duration, self._run_to - self._run_from)


def _write(target: wkt.Timestamp | wkt.Duration, nanoseconds: int) -> None:
    # What FromNanoseconds does, without its checks of a range that no clock leaves.
    target.seconds, target.nanos = divmod(nanoseconds, 10**9)


class RunResult(NamedTuple):
    """The result of a command, or of a request to a worker.

    Attributes:
        exit_code: 128 plus the signal's number for a command that a signal ended.
        stdout, stderr: the action's output; a worker's response text is on stderr, where Bazel
            puts it.
        timed_out: it was killed at its time limit; its output may be incomplete.
        worker: number of the persistent worker that served; None for a one-shot run.
        is_reused: whether that worker had served an action before.
        key: key of that worker.
        request_id: of the WorkRequest.
        sent: when the WorkRequest was sent, seconds since the epoch.
        worker_stderr: what the worker wrote to stderr during this request.
        max_rss_bytes: peak resident memory, bytes; 0 if unknown.
        note: text for the user, in ExecuteResponse.message.
    """

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    timed_out: bool = False
    worker: int | None = None
    is_reused: bool = False
    key: WorkerKey | None = None
    request_id: int = 0
    sent: float = 0.0
    worker_stderr: bytes = b""
    max_rss_bytes: int = 0
    note: str = ""
