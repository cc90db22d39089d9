"""Chrome trace events: a process for each worker, a thread for each of its slots.

Perfetto, ``chrome://tracing`` and Speedscope show such files. The format: "Trace Event Format", by Google.
Times are microseconds since the first event of the first run.
"""

from __future__ import annotations

import heapq
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rpw_fixture.report.inputs import Inputs
from rpw_fixture.report.run_figures import CACHE, Row, has_failed, kind_of

#: Process numbers in the trace: each run gets this many.
_RUN_SIZE: Final = 1_000_000
_SERVER, _PROCESSES, _FIRST_WORKER = 1, 2, 10
_COLOURS: Final = {
    "warm": "good",
    "cold": "thread_state_running",
    "one-shot": "bad",
    "cache": "grey",
}
_PHASES: Final = ("queued", "staged", "executed", "collected", "replied")

_Event = dict[str, Any]


def render(inputs: Inputs) -> str:
    """Return the trace as JSON."""
    first = min((run["start"] for run in inputs.runs), default=0.0)
    events: list[_Event] = []
    for position, run in enumerate(inputs.runs):
        events += _RunTrace(run, position, run["start"] - first).events(inputs.checks)
    # Metadata first, then by time: some viewers read files as a stream.
    events.sort(key=lambda each: (each["ph"] != "M", each.get("ts", 0)))
    other = {"problems": inputs.problems}
    text = json.dumps(
        {"traceEvents": events, "displayTimeUnit": "ms", "otherData": other}, separators=(",", ":")
    )
    return f"{text}\n"


class _RunTrace:
    def __init__(self, run: Row, position: int, offset: float) -> None:
        self._run = run
        self._base = position * _RUN_SIZE
        self._offset = offset
        self._prefix = f"{run['name']}: " if position else ""
        self._flow = itertools.count(self._base + 1)

    def events(self, checks: Iterable[Mapping[str, Any]]) -> Iterator[_Event]:
        yield from self._names()
        slots = self._slots()
        for action in self._run["actions"]:
            yield from self._action(action, slots)
        for worker in self._run["workers"]:
            yield from self._life(worker)
        for violation in self._run["violations"]:
            yield self._instant(
                f"violation: {violation['rule']}",
                self._pid(violation["worker"]),
                violation["time"],
                {"detail": violation["detail"]},
            )
        yield from self._counters()
        for check in checks:
            yield from self._findings(check, slots)

    def _pid(self, worker: int | None) -> int:
        return self._base + (_PROCESSES if worker is None else _FIRST_WORKER + worker)

    def _names(self) -> Iterator[_Event]:
        names = {self._base + _SERVER: "server", self._pid(None): "without a worker"}
        for worker in self._run["workers"]:
            names[self._pid(worker["id"])] = (
                f"worker {worker['id']} {worker.get('mnemonic', '')}".strip()
            )
        for order, (pid, name) in enumerate(names.items()):
            yield _meta("process_name", pid, {"name": self._prefix + name})
            yield _meta("process_sort_index", pid, {"sort_index": self._base + order})

    def _slots(self) -> dict[tuple[int, int], tuple[int, int]]:
        """Return process and thread of each part of an action, by the action's id and the part's index.

        Slices of one thread must not overlap, so each of two overlapping requests gets its own thread.
        """
        parts: dict[int, list[tuple[float, float, tuple[int, int]]]] = {}
        for action in self._run["actions"]:
            for index, (worker, start, end) in enumerate(self._parts(action)):
                parts.setdefault(self._pid(worker), []).append((start, end, (action["id"], index)))
        found = {}
        for pid, slices in parts.items():
            for key, slot in _assigned(sorted(slices)):
                found[key] = (pid, slot)
        return found

    def _parts(self, action: Row) -> list[tuple[int | None, float, float]]:
        """Return the worker, the start and the end of each slice of an action."""
        last = self._run["end"]
        if action["requests"]:
            return [
                (
                    each["worker"],
                    each["sent"],
                    last if each["received"] is None else each["received"],
                )
                for each in action["requests"]
            ]
        return [(None, action["start"], last if action["end"] is None else action["end"])]

    def _action(
        self, action: Row, slots: Mapping[tuple[int, int], tuple[int, int]]
    ) -> Iterator[_Event]:
        name = action["target"] or action["mnemonic"] or action["action"][:12]
        kind = "failed" if has_failed(action) else kind_of(action)
        details = {
            each: action.get(each)
            for each in ("action", "mnemonic", "mode", "reason", "exit", "status", "message", "key")
        }
        previous: tuple[int, int, float] | None = None
        for index, (_, start, end) in enumerate(self._parts(action)):
            pid, tid = slots[action["id"], index]
            slice_ = {"ph": "X", "name": name, "cat": kind, "pid": pid, "tid": tid}
            colour = _COLOURS.get(kind, "terrible")
            yield (
                slice_
                | self._span(start, end)
                | {"args": details | {"outcome": kind}, "cname": colour}
            )
            if not action["requests"] and kind != CACHE:
                yield from self._phases(action, pid, tid)
            if previous is not None:
                yield from self._arrow("sent again", previous, (pid, tid, start))
            previous = (pid, tid, end)
        if action["requests"]:
            yield from self._waiting(action, name, slots[action["id"], 0])

    def _waiting(self, action: Row, name: str, slot: tuple[int, int]) -> Iterator[_Event]:
        """Yield what the server did around the request, with an arrow to the request.

        These are asynchronous slices: many actions wait at the same time.
        """
        base = {
            "cat": "phase",
            "id": hex(self._base + action["id"]),
            "pid": self._base + _SERVER,
            "tid": 0,
        }
        yield base | {"ph": "b", "name": name, "ts": self._time(action["start"])}
        for phase, start, end in _phase_times(action):
            yield base | {"ph": "b", "name": phase, "ts": self._time(start)}
            yield base | {"ph": "e", "name": phase, "ts": self._time(end)}
        end = self._run["end"] if action["end"] is None else action["end"]
        yield base | {"ph": "e", "name": name, "ts": self._time(end)}
        sent = action["requests"][0]["sent"]
        yield from self._arrow("request", (self._base + _SERVER, 0, action["start"]), (*slot, sent))

    def _phases(self, action: Row, pid: int, tid: int) -> Iterator[_Event]:
        for phase, start, end in _phase_times(action):
            begin, stop = max(start, action["start"]), min(end, action["end"])
            if stop > begin:
                yield {
                    "ph": "X",
                    "name": phase,
                    "cat": "phase",
                    "pid": pid,
                    "tid": tid,
                } | self._span(begin, stop)

    def _life(self, worker: Row) -> Iterator[_Event]:
        pid = self._pid(worker["id"])
        yield self._instant("worker started", pid, worker["start"], {"key": worker["key"]})
        if worker["end"] is not None:
            details = {each: worker.get(each) for each in ("reason", "exit", "requests", "stderr")}
            yield self._instant(f"worker ended: {worker['reason']}", pid, worker["end"], details)
            if worker.get("peak"):
                yield self._counter("largest memory", pid, worker["end"], {"bytes": worker["peak"]})

    def _counters(self) -> Iterator[_Event]:
        requests = [
            part
            for action in self._run["actions"]
            for part in self._parts(action)
            if part[0] is not None
        ]
        waits = [
            (action["start"], action["requests"][0]["sent"])
            for action in self._run["actions"]
            if action["requests"]
        ]
        pid = self._base + _SERVER
        for name, spans in (
            ("busy workers", [each[1:] for each in requests]),
            ("waiting actions", waits),
        ):
            for time, level in _levels(spans):
                yield self._counter(name, pid, time, {"count": level})

    def _findings(
        self, check: Mapping[str, Any], slots: Mapping[tuple[int, int], tuple[int, int]]
    ) -> Iterator[_Event]:
        """Yield an arrow from each polluter to its victim, if this run has actions of these names."""
        named: dict[str, Row] = {}
        for action in self._run["actions"]:
            if action["requests"]:
                for name in (action["target"], f"{action['target']} {action['mnemonic']}".strip()):
                    named.setdefault(name, action)
        for finding in check["findings"]:
            victim = named.get(finding["victim"])
            for name in finding["polluters"] if victim else ():
                polluter = named.get(name)
                if polluter is not None and victim is not None:
                    yield from self._arrow(
                        f"{finding['code']}: pollutes",
                        (*slots[polluter["id"], 0], polluter["requests"][0]["sent"]),
                        (*slots[victim["id"], 0], victim["requests"][0]["sent"]),
                    )

    def _arrow(
        self, name: str, start: tuple[int, int, float], end: tuple[int, int, float]
    ) -> Iterator[_Event]:
        base = {"name": name, "cat": "flow", "id": next(self._flow)}
        yield base | {"ph": "s", "pid": start[0], "tid": start[1], "ts": self._time(start[2])}
        finish = {"ph": "f", "bp": "e", "pid": end[0], "tid": end[1]}
        yield base | finish | {"ts": self._time(max(end[2], start[2]))}

    def _instant(self, name: str, pid: int, time: float, details: Mapping[str, Any]) -> _Event:
        place = {"ph": "i", "s": "p", "name": name, "cat": "worker", "pid": pid, "tid": 0}
        return place | {"ts": self._time(time), "args": dict(details)}

    def _counter(self, name: str, pid: int, time: float, values: Mapping[str, float]) -> _Event:
        return {
            "ph": "C",
            "name": name,
            "pid": pid,
            "tid": 0,
            "ts": self._time(time),
            "args": dict(values),
        }

    def _time(self, seconds: float) -> int:
        return max(0, round((seconds + self._offset) * 1e6))

    def _span(self, start: float, end: float) -> _Event:
        begin = self._time(start)
        return {"ts": begin, "dur": max(0, self._time(end) - begin)}


def _meta(name: str, pid: int, arguments: Mapping[str, Any]) -> _Event:
    return {"ph": "M", "name": name, "pid": pid, "tid": 0, "args": dict(arguments)}


def _phase_times(action: Row) -> Iterator[tuple[str, float, float]]:
    """Yield each phase of an action that took time, with its start and end."""
    before = 0.0
    for name in _PHASES:
        end = (action.get("phases") or {}).get(name)
        if end is None:
            continue
        if end > before:
            yield name, action["start"] + before, action["start"] + end
            before = end


def _assigned(slices: Iterable[tuple[float, float, Any]]) -> Iterator[tuple[Any, int]]:
    """Yield each slice's value with a slot in which nothing else overlaps it; slots count from 1."""
    busy: list[tuple[float, int]] = []
    free: list[int] = []
    for start, end, value in slices:
        while busy and busy[0][0] <= start:
            heapq.heappush(free, heapq.heappop(busy)[1])
        slot = heapq.heappop(free) if free else len(busy) + 1
        heapq.heappush(busy, (end, slot))
        yield value, slot


def _levels(spans: Iterable[tuple[float, float]]) -> Iterator[tuple[float, int]]:
    """Yield each time at which the number of open spans changes, with the new number."""
    steps = sorted(step for start, end in spans for step in ((start, 1), (end, -1)))
    level = 0
    for time, group in itertools.groupby(steps, key=lambda each: each[0]):
        level += sum(step for _, step in group)
        yield time, level
