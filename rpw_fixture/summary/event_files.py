"""Read ``--events`` files, also old, torn and shared ones.

A file may hold several servers, one after the other or at the same time. Its last line may be incomplete.
A line that is no record is skipped and named by its offset. Kinds and fields that this version does not
know are skipped, and fields that an older version did not write get their defaults.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rpw_fixture.errors import ConfigError
from rpw_fixture.events import kinds
from rpw_fixture.events.kinds import Event, FileRecord, ServerStarted

_KINDS = {
    kind.event: kind
    for kind in vars(kinds).values()
    if inspect.isclass(kind) and issubclass(kind, Event) and kind.event
}
#: Values that a field takes, by its annotation, and its value where an older version wrote none.
_TYPES: dict[str, tuple[tuple[type, ...], object]] = {
    "str": ((str,), ""),
    "str | None": ((str, type(None)), None),
    "int": ((int,), 0),
    "int | None": ((int, type(None)), None),
    "float": ((int, float), 0.0),
    "bool": ((bool,), False),
    "Mapping[str, object]": ((dict,), {}),
    "Mapping[str, float]": ((dict,), {}),
    "Mapping[str, str]": ((dict,), {}),
    "Sequence[str]": ((list,), ()),
    "Sequence[FileRecord]": ((list,), ()),
}
_SHOWN = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerRun:
    """The events of one server.

    Attributes:
        server: its start, None when an older version wrote the file or the line is lost.
        events: its events in order, the start included.
    """

    server: ServerStarted | None
    events: tuple[Event, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFileContents:
    """The content of a file of events.

    Attributes:
        runs: the servers that wrote it, in the order of their starts; at least one.
        problems: a sentence for each line that could not be read, with its offset.
    """

    runs: tuple[ServerRun, ...]
    problems: tuple[str, ...]


def read_events(path: str | Path) -> EventFileContents:
    """Return the runs in a file of events.

    Raises:
        ConfigError: it can't be read, or holds no event; the message names the first bad offset.
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from None
    runs, problems = _Runs(), []
    for number, offset, line, is_whole in _lines(data):
        try:
            event = _event(line)
        except ValueError as error:
            place = f"{path}, byte {offset} (line {number})"
            cause = f"{error}" if is_whole else "incomplete: the server was killed, or still writes"
            problems.append(f"{place}: {cause}")
            continue
        if event is not None:
            runs.add(event)
    if not runs.found:
        if problems:
            raise ConfigError(f"{problems[0]}. Expected a file that a server wrote with --events")
        raise ConfigError(f"{path}: holds no event; a server writes it when started with --events")
    return EventFileContents(runs=tuple(map(_run, runs.found)), problems=tuple(problems))


class _Runs:
    """The events of each server, distinguished by their numbers: each server counts from 1."""

    def __init__(self) -> None:
        self.found: list[list[Event]] = []

    def add(self, event: Event) -> None:
        self._run_of(event).append(event)

    def _run_of(self, event: Event) -> list[Event]:
        if not isinstance(event, ServerStarted):
            newest_first = list(reversed(self.found))
            for run in newest_first:  # its successor by number
                if run[-1].seq + 1 == event.seq:
                    return run
            for (
                run
            ) in newest_first:  # events in between were lost, or `events_lost` repeats a number
                if run[-1].seq <= event.seq:
                    return run
        self.found.append([])
        return self.found[-1]


def _run(events: list[Event]) -> ServerRun:
    first = events[0]
    server = first if isinstance(first, ServerStarted) else None
    return ServerRun(server=server, events=tuple(events))


def _lines(data: bytes) -> Iterator[tuple[int, int, bytes, bool]]:
    """Yield number, offset and content of each line that is not empty, and whether it has an end."""
    offset = 0
    for number, line in enumerate(data.splitlines(keepends=True), start=1):
        content = line.strip()
        if content:
            yield number, offset, content, line.endswith(b"\n")
        offset += len(line)


def _event(line: bytes) -> Event | None:
    """Return the record in a line, None for a kind that this version does not know.

    Raises:
        ValueError: it is no record.
    """
    try:
        values = json.loads(line)
    except ValueError:
        raise ValueError(f"not JSON: {line[:_SHOWN].decode('ascii', 'replace')!r}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{type(values).__name__} instead of an event")  # noqa: TRY004 - of the line
    seq, time = _value(values, "seq", "int"), _value(values, "time", "float")
    name = values.get("event")
    if seq is None or time is None or not isinstance(name, str):
        raise ValueError("an event has seq, time and event")
    kind = _KINDS.get(name)
    if kind is None:
        return None
    event = kind(**_fields(kind, values))
    object.__setattr__(event, "seq", seq)
    object.__setattr__(event, "time", time)
    return event


def _fields(kind: type[Event], values: Mapping[str, object]) -> dict[str, Any]:
    fields = {}
    for each in dataclasses.fields(kind):
        if not each.init or not each.metadata.get("json", True):
            continue
        found = _value(values, each.name, str(each.type))
        if found is not None or each.name in values:
            fields[each.name] = found
        elif each.default is dataclasses.MISSING and each.default_factory is dataclasses.MISSING:
            fields[each.name] = _TYPES[str(each.type)][1]
    return fields


def _value(values: Mapping[str, object], name: str, annotation: str) -> Any:
    """Return a field's value, None when it has none.

    Raises:
        ValueError: it has another type.
    """
    accepted = _TYPES[annotation][0]
    value = values.get(name)
    if name in values and (
        not isinstance(value, accepted) or (isinstance(value, bool) and bool not in accepted)
    ):
        raise ValueError(f"{name} is {str(value)[:_SHOWN]!r}, expected {annotation}")
    if annotation == "Sequence[FileRecord]" and isinstance(value, list):
        return tuple(_file(each) for each in value)
    return tuple(value) if isinstance(value, list) else value


def _file(value: object) -> FileRecord:
    if not isinstance(value, dict) or not {"path", "digest"} <= value.keys():
        raise ValueError(f"{str(value)[:_SHOWN]!r} instead of a file's path and digest")
    return FileRecord(str(value["path"]), str(value["digest"]))
