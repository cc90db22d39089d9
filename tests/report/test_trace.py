"""Traces keep the rules of the trace event format."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

from rpw_fixture.report import inputs, trace

from .sample_log import check_report, large_log, small_log

Event = dict[str, Any]
#: Fields that each phase of events must have, from the description of the format.
_FIELDS = {
    "X": {"name", "ts", "dur", "pid", "tid"},
    "i": {"name", "ts", "pid", "tid", "s"},
    "C": {"name", "ts", "pid", "args"},
    "M": {"name", "pid", "args"},
    "b": {"name", "ts", "pid", "id", "cat"},
    "e": {"name", "ts", "pid", "id", "cat"},
    "s": {"name", "ts", "pid", "tid", "id", "cat"},
    "f": {"name", "ts", "pid", "tid", "id", "cat", "bp"},
}


def problems(events: list[Event]) -> list[str]:
    """What breaks a rule of the format."""
    found = [
        f"{each['ph']} lacks {_FIELDS[each['ph']] - each.keys()}"
        for each in events
        if _FIELDS[each["ph"]] - each.keys()
    ]
    found += [
        f"time {each['ts']} of {each['name']}"
        for each in events
        if each.get("ts", 0) < 0 or each.get("dur", 0) < 0
    ]
    return [*found, *_overlapping(events), *_unpaired(events)]


def _overlapping(events: list[Event]) -> list[str]:
    """Slices of one thread must be nested or apart."""
    threads = defaultdict(list)
    for each in events:
        if each["ph"] == "X":
            threads[each["pid"], each["tid"]].append((each["ts"], -each["dur"], each["name"]))
    found = []
    for slices in threads.values():
        open_: list[int] = []
        for start, negative, name in sorted(slices):
            while open_ and open_[-1] <= start:
                open_.pop()
            if open_ and start - negative > open_[-1]:
                found.append(f"{name} overlaps")
            open_.append(start - negative)
    return found


def _unpaired(events: list[Event]) -> list[str]:
    levels: dict[object, int] = defaultdict(int)
    for each in events:
        step = {"b": 1, "e": -1, "s": 1, "f": -1}.get(each["ph"], 0)
        key = (each["ph"] in "be", each.get("cat"), each.get("id"), each["name"])
        levels[key] += step
    return [f"{key} has no end" for key, level in levels.items() if level]


def traced(tmp_path: Path, log: Any, checks: list[Any] | None = None) -> list[Event]:
    found = inputs.read([log.write(tmp_path / "log")])
    found.checks = checks or []
    value = json.loads(trace.render(found))
    events: list[Event] = value["traceEvents"]
    return events


def test_a_trace_keeps_the_rules(tmp_path: Path) -> None:
    events = traced(tmp_path, small_log())
    assert problems(events) == []
    assert {each["ph"] for each in events} == set(_FIELDS)


def test_workers_are_processes_and_overlapping_requests_threads(tmp_path: Path) -> None:
    events = traced(tmp_path, small_log())
    names = {each["pid"]: each["args"]["name"] for each in events if each["name"] == "process_name"}
    assert "worker 1 Compile" in names.values()
    slices = {
        each["name"]: each
        for each in events
        if each["ph"] == "X" and names[each["pid"]].startswith("worker 1")
    }
    assert slices["//:overlaps"]["tid"] == 2
    assert slices["//:first"]["tid"] == 1
    assert slices["//:first"]["args"]["outcome"] == "cold"


def test_starts_and_ends_are_instants_with_reasons(tmp_path: Path) -> None:
    names = [each["name"] for each in traced(tmp_path, small_log()) if each["ph"] == "i"]
    assert "worker ended: crash" in names
    assert "violation: text on stdout" in names


def test_busy_workers_are_counted(tmp_path: Path) -> None:
    counts = [
        each["args"]["count"]
        for each in traced(tmp_path, small_log())
        if each["name"] == "busy workers"
    ]
    assert max(counts) == 2
    assert counts[-1] == 0


def test_an_arrow_leads_from_the_polluter_to_its_victim(tmp_path: Path) -> None:
    report = check_report()
    report["findings"][0] |= {"polluters": ["//:first Compile"], "victim": "//:overlaps Compile"}
    arrows = [
        each
        for each in traced(tmp_path, small_log(), [report])
        if each["name"] == "RPW202: pollutes"
    ]
    assert [each["ph"] for each in arrows] == ["s", "f"]
    assert arrows[0]["ts"] < arrows[1]["ts"]


def test_an_empty_trace_is_a_trace() -> None:
    assert json.loads(trace.render(inputs.Inputs()))["traceEvents"] == []


def test_a_large_trace_keeps_the_rules(tmp_path: Path) -> None:
    assert problems(traced(tmp_path, large_log(2_000, 20))) == []


def test_a_log_of_an_older_version_can_be_traced(tmp_path: Path) -> None:
    assert problems(traced(tmp_path, small_log(is_old=True))) == []
