"""A log of events written by hand, in the order in which a server would write it."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
from typing import Any

from rpw_fixture.config import Config
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ActionRouted,
    FileRecord,
    InternalError,
    ProtocolViolation,
    RequestSent,
    ResponseReceived,
    WorkerNotReused,
    WorkerRetired,
    WorkerStarted,
)
from rpw_fixture.events.log import EventLog
from rpw_fixture.testing.endpoint import Endpoint
from rpw_fixture.testing.records import ActionRecord
from rpw_fixture.workers.key import ToolInput, ToolInputs, WorkerKey, differences

REASON = "persistentWorkerKey, 2 tool inputs and a flagfile are there"


def tools(*paths: str, **contents: str) -> ToolInputs:
    """Tool inputs, each with content that its path decides, unless another one is given."""
    return ToolInputs(
        ToolInput(path, f"{hashed(contents.get(path.partition('.')[0], path))}/9", False)
        for path in sorted(paths)
    )


def hashed(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


KEY = WorkerKey(
    client_key="demo",
    startup_arguments=("python", "tool.py", "--persistent_worker"),
    environment=(("PATH", "/bin"),),
    tool_inputs=tools("lib.py", "tool.py"),
)


class EventScript:
    """Append events to the log of an `Endpoint` without a server; its clock advances 1 s an event."""

    def __init__(self) -> None:
        self._seconds = itertools.count(1_000)
        self.endpoint = Endpoint(Config(), EventLog(clock=lambda: float(next(self._seconds))))
        self._operations = itertools.count(1)
        self._warm: set[int] = set()

    def add(self, event: Any) -> None:
        self.endpoint.events.append(event)

    def routed(self, name: str = "a", *, mode: str = "worker", **values: Any) -> ActionRecord:
        """An action on its way; its record."""
        key = values.pop("key", KEY if mode == "worker" else None)
        routed = ActionRouted(
            **{
                "action": f"{hashed(name)}/150",
                "operation": f"op/{next(self._operations)}",
                "mnemonic": "Compile",
                "target": f"//pkg:{name}",
                "mode": mode,
                "reason": REASON,
                "key": key.digest if key else None,
                "key_components": key.components if key else (),
                **values,
            }
        )
        self.add(routed)
        return self.record(routed.operation)

    def started(self, worker: int, key: WorkerKey = KEY, mnemonic: str = "Compile") -> None:
        self.add(
            WorkerStarted(
                worker=worker,
                pid=100 + worker,
                mnemonic=mnemonic,
                key=key.digest,
                startup_arguments=key.startup_arguments,
                tool_inputs=key.tool_inputs.records(),
                key_components=key.components,
            )
        )

    def refused(self, action: ActionRecord, closest: int, old: WorkerKey, new: WorkerKey) -> None:
        self.add(
            WorkerNotReused(
                action=action.action,
                operation=action.operation,
                key=new.digest,
                closest_worker=closest,
                differences=tuple(differences(old.components, new.components)),
            )
        )

    def sent(self, action: ActionRecord, worker: int) -> None:
        self.add(
            RequestSent(
                worker=worker,
                request_id=0,
                action=action.action,
                operation=action.operation,
                inputs=3,
            )
        )

    def answered(self, action: ActionRecord, worker: int) -> None:
        self.add(
            ResponseReceived(
                worker=worker,
                request_id=0,
                action=action.action,
                operation=action.operation,
                exit_code=0,
                seconds=0.25,
            )
        )

    def completed(self, action: ActionRecord, **values: Any) -> ActionRecord:
        self.add(
            ActionCompleted(
                **{
                    "action": action.action,
                    "operation": action.operation,
                    "mode": action.mode,
                    "worker": None,
                    "reused": False,
                    "exit_code": 0,
                    "cached": action.mode == "cache",
                    "seconds": 0.5,
                    "outputs": (FileRecord("out/a", f"{hashed('out')}/3"),),
                    **values,
                }
            )
        )
        return self.record(action.operation)

    def retired(self, worker: int, reason: str, **values: Any) -> None:
        self.add(
            WorkerRetired(
                **{
                    "worker": worker,
                    "reason": reason,
                    "exit_status": 0,
                    "stderr_tail": "",
                    "requests": 1,
                    **values,
                }
            )
        )

    def violated(self, worker: int, rule: str, detail: str, action: ActionRecord) -> None:
        self.add(
            ProtocolViolation(worker=worker, rule=rule, detail=detail, operation=action.operation)
        )

    def bug(self, where: str, detail: str) -> None:
        self.add(InternalError(where=where, detail=detail))

    def on_worker(
        self, name: str, worker: int, key: WorkerKey = KEY, **values: Any
    ) -> ActionRecord:
        """An action served by a worker, which is started if this is its first."""
        action = self.routed(name, key=key, **values)
        if worker not in self._warm:
            self.started(worker, key)
        self.sent(action, worker)
        self.answered(action, worker)
        is_reused = worker in self._warm
        self._warm.add(worker)
        return self.completed(action, worker=worker, reused=is_reused)

    def one_shot(self, name: str, reason: str) -> ActionRecord:
        return self.completed(self.routed(name, mode="one-shot", reason=reason))

    def cached(self, name: str) -> ActionRecord:
        reason = "the action cache has a result"
        return self.completed(self.routed(name, mode="cache", reason=reason))

    def record(self, operation: str) -> ActionRecord:
        (found,) = (each for each in self.endpoint.actions if each.operation == operation)
        return found


def with_changes(key: WorkerKey = KEY, **changes: Any) -> WorkerKey:
    return dataclasses.replace(key, **changes)
