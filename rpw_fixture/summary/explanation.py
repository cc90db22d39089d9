"""The story of one action or one worker: where, why, who served before, how long each phase took."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rpw_fixture.events.actions import Mode
from rpw_fixture.summary import words
from rpw_fixture.summary.model import RunSummary
from rpw_fixture.support.plurals import counted
from rpw_fixture.testing import explain, remedies
from rpw_fixture.testing.records import ActionRecord, WorkerRecord
from rpw_fixture.testing.starts import WorkerStart

_WORKER = re.compile(r"worker:(\d+)")
_DIGEST = re.compile(r"[0-9a-f]{4,128}(/\d+)?")
#: What the time before the end of each phase goes into.
_PHASES = {
    "queued": "waited for its turn and a worker",
    "staged": "inputs placed",
    "executed": "request or command",
    "collected": "outputs stored",
    "replied": "reply",
}
_BAR = 40
_MOST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionStory:
    """What happened to one execution of an action.

    Attributes:
        action: the execution.
        start: why its worker was started, if it was started for this action.
        worker: the worker that served it.
        before: what that worker had served before, in order.
        earlier: the last execution of the same target and mnemonic before, if there is one.
        remedy: what to do so that it runs on a worker, if it did not.
    """

    action: ActionRecord
    start: WorkerStart | None
    worker: WorkerRecord | None
    before: tuple[ActionRecord, ...]
    earlier: ActionRecord | None
    remedy: str

    def as_dict(self) -> dict[str, object]:
        """Return the story as an object for JSON."""
        action = self.action
        return {
            "action": action.action,
            "mnemonic": action.mnemonic,
            "target": action.target,
            "mode": action.mode,
            "reason": action.reason,
            "remedy": self.remedy,
            "worker": action.worker,
            "reused": action.reused,
            "worker_start": self.start.as_dict() if self.start is not None else None,
            "served_before": [each.target or each.action for each in self.before],
            "earlier": _brief(self.earlier) if self.earlier is not None else None,
            "exit_code": action.exit_code,
            "status": action.status,
            "message": action.message,
            "violations": [f"{each.rule}: {each.detail}" for each in action.violations],
            "seconds": round(action.seconds, 6),
            "phases": {name: round(end, 6) for name, end in action.phases.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStory:
    """What happened to one worker.

    Attributes:
        worker: the worker.
        start: why it was started.
        served: the actions that it got, in order.
        next: the next worker of the same mnemonic, and why it was started, if there is one.
    """

    worker: WorkerRecord
    start: WorkerStart
    served: tuple[ActionRecord, ...]
    next: WorkerStart | None

    def as_dict(self) -> dict[str, object]:
        """Return the story as an object for JSON."""
        worker = self.worker
        return {
            "worker": worker.worker,
            "pid": worker.pid,
            "key": worker.key,
            "startup_arguments": list(worker.startup_arguments),
            "tool_inputs": [each._asdict() for each in worker.tool_inputs],
            "start": self.start.as_dict(),
            "served": [_brief(each) for each in self.served],
            "retired": worker.retired,
            "exit_status": worker.exit_status,
            "seconds": round(worker.seconds, 6),
            "peak_bytes": worker.peak_bytes,
            "violations": [f"{each.rule}: {each.detail}" for each in worker.violations],
            "stderr_tail": worker.stderr_tail,
            "next": self.next.as_dict() if self.next is not None else None,
        }


Story = ActionStory | WorkerStory


def stories(run: RunSummary, subject: str) -> list[Story]:
    """Return the stories of what a subject names, oldest first.

    Args:
        subject: a target, the digest of an action or its beginning, or ``worker:N``.
    """
    worker = _WORKER.fullmatch(subject)
    if worker is not None:
        return [
            _worker_story(run, each) for each in run.starts if each.worker.worker == int(worker[1])
        ]
    found = list(run.actions.for_target(subject))
    if not found and _DIGEST.fullmatch(subject):
        found = [each for each in run.actions if each.action.startswith(subject)]
    return [_action_story(run, each) for each in found]


def subjects(run: RunSummary) -> list[str]:
    """Return what can be asked for, to suggest what was meant."""
    targets = dict.fromkeys(each.target for each in run.actions if each.target)
    return [*targets, *(f"worker:{each.worker.worker}" for each in run.starts)]


def text(story: Story) -> list[str]:
    """Return the lines of a story."""
    return list(_action_text(story) if isinstance(story, ActionStory) else _worker_text(story))


def brief(story: Story) -> str:
    """Return a story in one line."""
    if isinstance(story, ActionStory):
        return explain.describe(story.action)
    return explain.life(story.worker).splitlines()[0]


def _action_story(run: RunSummary, action: ActionRecord) -> ActionStory:
    start = next((each for each in run.starts if each.worker.worker == action.worker), None)
    by_operation = {each.operation: each for each in run.actions}
    before: list[ActionRecord] = []
    for operation in start.worker.operations if start is not None else ():
        if operation == action.operation:
            break
        if operation in by_operation:
            before.append(by_operation[operation])
    same = [
        each
        for each in run.actions
        if (each.target, each.mnemonic) == (action.target, action.mnemonic)
        and each.seq < action.seq
    ]
    is_own_start = start is not None and not before and not action.reused
    remedy = remedies.for_one_shot(action.reason) if action.mode == Mode.ONE_SHOT else ""
    return ActionStory(
        action=action,
        start=start if is_own_start else None,
        worker=start.worker if start is not None else None,
        before=tuple(before),
        earlier=same[-1] if same and action.target else None,
        remedy=remedy,
    )


def _worker_story(run: RunSummary, start: WorkerStart) -> WorkerStory:
    worker = start.worker
    wanted = set(worker.operations)
    later = (
        each
        for each in run.starts
        if each.worker.worker > worker.worker and each.worker.mnemonic == worker.mnemonic
    )
    return WorkerStory(
        worker=worker,
        start=start,
        served=tuple(each for each in run.actions if each.operation in wanted),
        next=next(later, None),
    )


def _action_text(story: ActionStory) -> Iterator[str]:
    action = story.action
    how = f"{explain.how_it_ran(action)}{explain.ending(action)}"
    yield from words.wrapped(f"{words.name_of(action)} ({action.action[:12]}…) {how}")
    yield ""
    yield from words.wrapped(f"why:        {action.reason or 'not known'}", "", " " * 12)
    yield from words.remedy(story.remedy, " " * 12)
    if story.start is not None:
        yield from _start_text(story.start, "new worker: ")
    if story.worker is not None:
        shown = _names(story.before) or "nothing"
        yield from words.wrapped(f"it served:  {shown} before", "", " " * 12)
    if story.earlier is not None:
        earlier = f"last time:  {explain.how_it_ran(story.earlier)}"
        yield from words.wrapped(f"{earlier}{_same_worker(story)}", "", " " * 12)
    for each in action.violations:
        yield from words.wrapped(f"violation:  {each.rule}: {each.detail}", "", " " * 12)
    if action.phases:
        yield ""
        yield from _phases(action)
    elif action.is_complete and action.seconds:
        yield f"seconds:    {action.seconds:.3f}"


def _same_worker(story: ActionStory) -> str:
    earlier, now = story.earlier, story.action
    if earlier is None or earlier.worker is None or now.worker is None:
        return ""
    return ", the same" if earlier.worker == now.worker else ""


def _start_text(start: WorkerStart, title: str) -> Iterator[str]:
    indent = " " * len(title)
    if not start.differences:
        yield from words.wrapped(f"{title}{start.text}", "", indent)
    else:
        yield f"{title}its key differs from that of worker {start.other}, the closest:"
        for each in start.differences[:_MOST]:
            yield from words.wrapped(each, f"{indent}- ", f"{indent}  ")
        if len(start.differences) > _MOST:
            yield f"{indent}… and {len(start.differences) - _MOST} more"
    yield from words.remedy(start.remedy, indent)


def _phases(action: ActionRecord) -> Iterator[str]:
    total = max(action.phases.values()) or 1.0
    previous = 0.0
    for name, what in _PHASES.items():
        end = action.phases.get(name, previous)
        took, offset = end - previous, round(previous / total * _BAR)
        bar = " " * offset + "#" * max(round(took / total * _BAR), int(took > 0))
        yield f"{name:10}  {took:8.3f} s  |{bar[:_BAR]:{_BAR}}|  {what}"
        previous = end


def _worker_text(story: WorkerStory) -> Iterator[str]:
    worker = story.worker
    alive = (
        f"retired: {worker.retired}"
        if worker.retired is not None
        else "alive at the end of the log"
    )
    process = f", process {worker.pid}" if worker.pid > 0 else ""
    yield f"worker {worker.worker}{process}: {counted(worker.requests, 'request')}, {alive}"
    yield ""
    yield from _start_text(story.start, "started:    ")
    command = " ".join(worker.startup_arguments)
    yield from words.wrapped(f"command:    {command}", "", " " * 12)
    tools = ", ".join(each.path for each in worker.tool_inputs[:_MOST])
    more = f", … ({len(worker.tool_inputs)} files)" if len(worker.tool_inputs) > _MOST else ""
    yield from words.wrapped(f"tool input: {tools or 'none'}{more}", "", " " * 12)
    yield from words.wrapped(f"served:     {_names(story.served) or 'nothing'}", "", " " * 12)
    if worker.peak_bytes:
        yield f"memory:     {worker.peak_bytes / (1 << 20):.0f} MiB at most, {worker.seconds:.1f} s old"
    if story.next is not None:
        yield from _start_text(story.next, f"then came:  worker {story.next.worker.worker}: ")
    yield from explain.life(worker).splitlines()[1:]


def _names(actions: Sequence[ActionRecord]) -> str:
    """Return the names of the last actions."""
    names = [each.target or words.name_of(each) for each in actions]
    shown = ", ".join(names[-_MOST:])
    hidden = len(names) - _MOST
    return f"{counted(hidden, 'other action')}, {shown}" if hidden > 0 else shown


def _brief(action: ActionRecord) -> dict[str, object]:
    return {
        "action": action.action,
        "mnemonic": action.mnemonic,
        "target": action.target,
        "mode": action.mode,
        "worker": action.worker,
        "reused": action.reused,
        "seconds": round(action.seconds, 6),
    }
