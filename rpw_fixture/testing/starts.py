"""Why each worker was started, instead of a live one being used again."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from rpw_fixture.support.plurals import counted, plural
from rpw_fixture.testing import remedies
from rpw_fixture.testing.records import ActionRecord, Actions, WorkerRecord, Workers


class StartReason(StrEnum):
    """Kinds of reasons for starting a worker."""

    FIRST = "first"
    """No worker of the same tool was alive, with whatever key."""
    OTHER_KEY = "other key"
    """Workers were alive, but with other keys."""
    BUSY = "busy"
    """Workers with its key were alive, and busy with other actions."""
    ENDED = "ended"
    """Workers with its key had ended."""
    UNKNOWN = "unknown"
    """Events are missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerStart:
    """The start of one worker.

    Attributes:
        worker: the worker.
        action: the first action that it got, if it got any.
        reason: the kind of reason.
        text: the reason in words.
        differences: how its key differs from that of ``other``.
        other: number of the worker that could not be used, if there is one.
        remedy: what to change so that the other worker is reused; empty when nothing is known.
    """

    worker: WorkerRecord
    action: ActionRecord | None
    reason: StartReason
    text: str
    differences: Sequence[str] = ()
    other: int | None = None
    remedy: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the start as an object for JSON."""
        return {
            "worker": self.worker.worker,
            "reason": self.reason.value,
            "text": self.text,
            "other_worker": self.other,
            "differences": list(self.differences),
            "action": self.action.action if self.action is not None else None,
            "mnemonic": self.worker.mnemonic,
            "target": self.action.target if self.action is not None else "",
            "remedy": self.remedy,
        }


def starts_of(actions: Actions, workers: Workers) -> tuple[WorkerStart, ...]:
    """Return why each worker was started, in their order."""
    by_operation = {each.operation: each for each in actions}
    found: list[WorkerStart] = []
    for number, worker in enumerate(workers):
        first = worker.operations[0] if worker.operations else ""
        found.append(_start(worker, by_operation.get(first), workers[:number]))
    return tuple(found)


def _start(
    worker: WorkerRecord, action: ActionRecord | None, earlier: Sequence[WorkerRecord]
) -> WorkerStart:
    if not worker.pid:
        text = "its start is not in the log"
        return WorkerStart(worker=worker, action=action, reason=StartReason.UNKNOWN, text=text)
    if action is not None and action.closest_worker is not None and _has_same_tool(worker, earlier):
        return _other_key(worker, action)
    same_key = [each for each in earlier if each.key == worker.key]
    alive = [each for each in same_key if _is_alive(each, worker.time)]
    if alive:
        numbers = _numbers(alive)
        return WorkerStart(
            worker=worker,
            action=action,
            reason=StartReason.BUSY,
            text=f"{numbers} with the same key {'was' if len(alive) == 1 else 'were'} busy",
            other=alive[-1].worker,
            remedy="Fix: --max-workers-per-key 1 makes actions wait for a busy worker.",
        )
    if same_key:
        last = same_key[-1]
        text = f"worker {last.worker} with the same key had ended: {last.retired}"
        return WorkerStart(
            worker=worker, action=action, reason=StartReason.ENDED, text=text, other=last.worker
        )
    text = "the first worker of this tool" if earlier else "the first worker"
    return WorkerStart(worker=worker, action=action, reason=StartReason.FIRST, text=text)


def _other_key(worker: WorkerRecord, action: ActionRecord) -> WorkerStart:
    shown = action.differences[0]
    more = len(action.differences) - 1
    if more:
        shown += f", and {counted(more, 'more difference')}"
    return WorkerStart(
        worker=worker,
        action=action,
        reason=StartReason.OTHER_KEY,
        text=f"another key than worker {action.closest_worker}, the closest: {shown}",
        differences=tuple(action.differences),
        other=action.closest_worker,
        remedy=remedies.for_difference(action.differences[0]),
    )


def _has_same_tool(worker: WorkerRecord, earlier: Iterable[WorkerRecord]) -> bool:
    """Return whether an earlier worker ran the same tool, as far as the client's names tell."""
    return any(
        each.mnemonic == worker.mnemonic or each.startup_arguments == worker.startup_arguments
        for each in earlier
    )


def _is_alive(worker: WorkerRecord, time: float) -> bool:
    return worker.retired_at is None or worker.retired_at > time


def _numbers(workers: Iterable[WorkerRecord]) -> str:
    numbers = [str(each.worker) for each in workers]
    shown = ", ".join(numbers[:4]) + (", …" if len(numbers) > 4 else "")
    return f"{plural(len(numbers), 'worker')} {shown}"
