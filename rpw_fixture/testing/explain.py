"""Records in words: the building blocks of failure texts and of reports after a failed test.

This module only formats; `rpw_fixture.testing.assertions` decides what is right or wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ActionRetried,
    ActionRouted,
    ContainerStarted,
    Event,
    InputsChanged,
    InternalError,
    IsolationDegraded,
    KeyComponents,
    ProtocolDetected,
    ProtocolViolation,
    RequestCancelled,
    RequestSent,
    ResponseReceived,
    WorkerNotReused,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.support.plurals import counted
from rpw_fixture.testing.records import ActionRecord, Actions, WorkerRecord, actions_in
from rpw_fixture.workers.key import ToolInputs

_CELL = 44
_STDERR_LINES = 20
_HEAD, _TAIL = 20, 60
_HASH = 8

Row = tuple[str, str, str]


def describe(action: ActionRecord) -> str:
    """Return in one line which action it was, how it ran and how it ended."""
    reason = f": {action.reason}" if action.mode == Mode.ONE_SHOT and action.reason else ""
    return f"{action} {how_it_ran(action)}{reason}{ending(action)}"


def how_it_ran(action: ActionRecord) -> str:
    """Return in a few words where an action ran, as the end of a sentence about it."""
    if action.worker is not None:
        state = "reused" if action.reused else "started for it"
        return f"ran on worker {action.worker}, {state}"
    by_mode = {
        Mode.CACHE: "came from the action cache",
        Mode.ONE_SHOT: "ran one-shot",
        Mode.WORKER: "was routed to a worker, but got none",
    }
    return next((text for mode, text in by_mode.items() if mode == action.mode), "was not routed")


def ending(action: ActionRecord) -> str:
    """Return how an action ended, if not with exit code 0, as the end of a sentence about it."""
    if not action.is_complete:
        return "; it has not ended yet"
    if action.status != "OK":
        return f"; {action.status}: {action.message.splitlines()[0] if action.message else ''}"
    return f"; exit code {action.exit_code}" if action.exit_code else ""


def listed(actions: Iterable[ActionRecord], *, limit: int = 12) -> str:
    """Return how each action ran, one per line; of more than ``limit`` only the last ones."""
    lines = [describe(action) for action in actions]
    hidden = len(lines) - limit
    shown = [f"… {hidden} earlier", *lines[-limit:]] if hidden > 0 else lines
    return indented(shown) or "  none"


def life(worker: WorkerRecord) -> str:
    """Return what a worker did and how it ended, with the end of its stderr."""
    text = f"worker {worker.worker} served {counted(worker.requests, 'request')}"
    if worker.retired is not None:
        status = "" if worker.exit_status is None else f", {_exit_status(worker.exit_status)}"
        text += f" and was retired: {worker.retired}{status}"
    for violation in worker.violations:
        text += f"\n  {violation.rule}: {violation.detail}"
    tail = worker.stderr_tail.rstrip()
    if tail:
        lines = tail.splitlines()[-_STDERR_LINES:]
        text += f"\n  end of its stderr:\n{indented(lines, '    ')}"
    return text


def key_table(old: KeyComponents, new: KeyComponents, titles: tuple[str, str]) -> str:
    """Return two worker keys side by side; ``!`` marks the components that differ."""
    rows = [("", *titles), *_rows(old, new)]
    widths = [max(len(row[column]) for row in rows) for column in (0, 1)]
    lines = []
    for number, (name, was, now) in enumerate(rows):
        mark = "!" if number and was != now else " "
        lines.append(f"{mark} {name:{widths[0]}}  {was:{widths[1]}}  {now}".rstrip())
    return indented(lines)


def key_list(components: KeyComponents) -> str:
    """Return one worker key, a component per line."""
    rows = list(_rows(components, components))
    width = max((len(name) for name, _, _ in rows), default=0)
    return indented(f"{name:{width}}  {value}" for name, value, _ in rows)


def timeline(events: Sequence[Event]) -> str:
    """Return an event per line with seconds since the first one; of many the first and the last."""
    names = {action.operation: str(action) for action in actions_in(events)}
    lines = list(_timeline(events, lambda operation: names.get(operation, "an action")))
    if len(lines) > _HEAD + _TAIL:
        hidden = f"… {len(lines) - _HEAD - _TAIL} more …"
        lines = [*lines[:_HEAD], hidden, *lines[-_TAIL:]]
    return "\n".join(lines)


def stderr_of(texts: Mapping[int, str]) -> str:
    """Return the end of each worker's stderr under its number; empty if none wrote anything."""
    ends = {number: text.rstrip() for number, text in sorted(texts.items())}
    return "\n".join(f"worker {number}:\n{text}" for number, text in ends.items() if text)


def nearest(actions: Actions, wanted: ActionRecord | None, limit: int = 8) -> list[ActionRecord]:
    """Return the actions most like ``wanted``: by target, then mnemonic, then the newest."""
    if wanted is None:
        return list(actions[-limit:])
    alike = sorted(
        actions,
        key=lambda each: (each.target == wanted.target, each.mnemonic == wanted.mnemonic, each.seq),
    )
    return alike[-limit:]


def indented(lines: Iterable[str], by: str = "  ") -> str:
    """Return lines as one text, each indented."""
    return "\n".join(f"{by}{line}" for line in lines)


def _rows(old: KeyComponents, new: KeyComponents) -> Iterator[Row]:
    for (name, was), (_, now) in zip(old, new, strict=True):
        if isinstance(was, ToolInputs) and isinstance(now, ToolInputs):
            yield from _tool_rows(was, now)
        elif was or now:
            yield from _plain_rows(name, was, now)


def _tool_rows(old: ToolInputs, new: ToolInputs) -> Iterator[Row]:
    was = {each.path: _content(each.digest, each.is_executable) for each in old.files}
    now = {each.path: _content(each.digest, each.is_executable) for each in new.files}
    paths = sorted(was.keys() | now.keys())
    differing = [path for path in paths if was.get(path) != now.get(path)]
    for path in differing:
        yield f"tool input {path}", was.get(path, "-"), now.get(path, "-")
    equal = [path for path in paths if path not in differing]
    if equal:
        shown = _cut(", ".join(equal) if len(equal) < 4 else f"{len(equal)} files")
        yield "equal tool inputs" if differing else "tool inputs", shown, shown


def _plain_rows(name: str, was: object, now: object) -> Iterator[Row]:
    if was == now or not (isinstance(was, tuple) and isinstance(now, tuple)):
        yield name, _cell(was), _cell(now)
        return
    old, new = dict(_named(was)), dict(_named(now))
    for each in dict.fromkeys([*old, *new]):
        if old.get(each) != new.get(each):
            yield f"{name} {each}", _cut(old.get(each, "-")), _cut(new.get(each, "-"))


def _named(values: tuple[object, ...]) -> Iterator[tuple[str, str]]:
    """Yield the parts of a component: variables by name, arguments by position."""
    for position, each in enumerate(values):
        if isinstance(each, tuple):
            yield str(each[0]), repr(each[1])
        else:
            yield str(position), repr(each)


def _cell(value: object) -> str:
    if not isinstance(value, tuple):
        return _cut(repr(value))
    parts = [f"{each[0]}={each[1]}" if isinstance(each, tuple) else str(each) for each in value]
    return _cut(" ".join(parts)) if parts else "-"


def _content(digest: str, is_executable: bool) -> str:
    shown = digest if digest.startswith("-> ") else f"{digest[:_HASH]}…"
    return f"{shown} executable" if is_executable else shown


def _cut(text: str) -> str:
    return text if len(text) <= _CELL else f"{text[: _CELL - 1]}…"


def _timeline(events: Sequence[Event], name: Callable[[str], str]) -> Iterator[str]:
    for event in events:
        for line in _sentence(event, name).splitlines():
            yield f"{event.time - events[0].time:9.3f} s  {line}"


def _sentence(event: Event, name: Callable[[str], str]) -> str:
    match event:
        case ActionRouted():
            text = f"{name(event.operation)}: {event.mode}, {event.reason}".removesuffix(", ")
        case WorkerNotReused():
            why = "; ".join(event.differences)
            text = f"{name(event.operation)}: worker {event.closest_worker} does not fit: {why}"
        case RequestSent():
            text = f"worker {event.worker} gets request {event.request_id}: {name(event.operation)}"
        case RequestCancelled():
            request = f"request {event.request_id}: {name(event.operation)}"
            text = f"worker {event.worker} stopped {request} ({event.reason})"
        case InputsChanged():
            paths = ", ".join(event.paths)
            text = f"inputs in the folder of worker {event.worker} had changed and were restored: {paths}"
        case ActionRetried():
            return f"{name(event.operation)}: retried after worker {event.worker}: {event.reason}"
        case ActionCompleted():
            code = "" if event.exit_code is None else f", exit code {event.exit_code}"
            result = f"{event.status}{code}, {counted(len(event.outputs), 'output')}"
            text = f"{name(event.operation)}: {result}, {event.seconds:.3f} s"
        case ProtocolDetected():
            text = f"{name(event.operation)}: its worker speaks {event.protocol}: {event.detail}"
        case InternalError():
            text = f"INTERNAL ERROR in {event.where}: {event.detail.rstrip().splitlines()[-1]}"
        case _:
            text = _worker_sentence(event)
    return text


def _worker_sentence(event: Event) -> str:
    match event:
        case WorkerStarted():
            text = f"worker {event.worker} started, process {event.pid}"
        case ResponseReceived():
            answer = f"exit code {event.exit_code} after {event.seconds:.3f} s"
            text = f"worker {event.worker} answers: {answer}"
        case WorkerRetired():
            status = "" if event.exit_status is None else f" ({_exit_status(event.exit_status)})"
            text = f"worker {event.worker} retired: {event.reason}{status}"
        case ProtocolViolation():
            text = f"worker {event.worker} violates the protocol: {event.rule}: {event.detail}"
        case ContainerStarted():
            text = f"container {event.container} of {event.image} started for {event.purpose}"
        case IsolationDegraded():
            text = f"isolation {event.got} instead of {event.wanted}: {event.reason}"
        case _:
            text = event.event
    return text


def _exit_status(status: int) -> str:
    return f"killed by signal {-status}" if status < 0 else f"exit status {status}"
