"""The model of a live page: rows as events come, and why workers were started.

Only the events that explain starts are kept: of each worker its start, its end and its first request, with
how that action was routed.
"""

from __future__ import annotations

from collections import Counter

from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ActionRouted,
    Event,
    RequestSent,
    WorkerNotReused,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.report.run_rows import Row, RunRows
from rpw_fixture.summary.model import is_refused
from rpw_fixture.testing import remedies
from rpw_fixture.testing.records import actions_in, workers_in
from rpw_fixture.testing.starts import starts_of


class LiveRows:
    """Builds the model of a server that still runs; `RunRows` has the rows."""

    def __init__(self) -> None:
        self._rows = RunRows()
        self._last = 0
        self._open: dict[str, list[Event]] = {}
        self._kept: list[Event] = []
        self._served: set[int] = set()
        self._one_shot: Counter[str] = Counter()
        self._has_new_reasons = False

    def add(self, event: Event) -> None:
        """Bring the model up to date with one event; one that is already in it is left out."""
        if event.seq <= self._last:
            return
        self._last = event.seq
        self._rows.add(event.as_dict())
        match event:
            case ActionRouted():
                self._open[event.operation] = [event]
                if event.mode == Mode.ONE_SHOT and not is_refused(event):
                    self._one_shot[event.reason] += 1
                    self._has_new_reasons = True
            case WorkerNotReused():
                self._open.setdefault(event.operation, []).append(event)
            case ActionCompleted():
                self._open.pop(event.operation, None)
            case WorkerStarted() | WorkerRetired():
                self._keep(event)
            case RequestSent() if event.worker not in self._served:
                self._served.add(event.worker)
                self._keep(*self._open.get(event.operation, ()), event)

    def whole(self, name: str) -> Row:
        """Return the whole model, and begin to collect changes."""
        self._rows.take_changes()
        self._has_new_reasons = False
        return self._rows.row(name) | self._reasons()

    @property
    def has_changes(self) -> bool:
        """Whether `take_changes` would return rows."""
        return self._rows.has_changes

    def take_changes(self) -> Row:
        """Return what changed since the last call."""
        reasons = self._reasons() if self._has_new_reasons else {}
        self._has_new_reasons = False
        return self._rows.take_changes() | reasons

    def _keep(self, *events: Event) -> None:
        self._kept += events
        self._has_new_reasons = True

    def _reasons(self) -> Row:
        starts = starts_of(actions_in(self._kept), workers_in(self._kept))
        return {
            "worker_starts": [each.as_dict() for each in starts],
            "one_shot": [
                {"reason": reason, "actions": count, "remedy": remedies.for_one_shot(reason)}
                for reason, count in self._one_shot.most_common()
            ],
        }
