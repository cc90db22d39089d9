"""Read a recording as if it were a log of events.

A recording has no processes, no phases and no one-shot actions: each pool of workers counts as one worker,
which is started by its first action.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rpw_fixture.errors import ConfigError
from rpw_fixture.events.actions import Mode
from rpw_fixture.events.kinds import (
    ActionCompleted,
    ActionRouted,
    Event,
    FileRecord,
    RequestSent,
    WorkerNotReused,
    WorkerStarted,
)
from rpw_fixture.execution.recorder import ACTIONS_FILE
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import Ability, ToolInput, ToolInputs, WorkerKey, differences

_NO_PROCESS = -1


def read_recording(folder: Path) -> tuple[Event, ...]:
    """Return the events that a recording stands for.

    Raises:
        ConfigError: it is no recording, or is broken; the message names the line.
    """
    path = folder / ACTIONS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        cause = error.strerror if isinstance(error, OSError) else "not UTF-8"
        raise ConfigError(f"{folder}: not a recording ({path}: {cause})") from None
    pools = _Pools()
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            pools.add(fields, _key(fields), f"{number}")
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ConfigError(f"{path}:{number}: not a recorded action: {error!r}") from None
    if not pools.events:
        raise ConfigError(
            f"{path}: nothing was recorded: no action that ran on a worker ended while the server ran"
        )
    return tuple(pools.events)


class _Pools:
    """The pools of workers seen so far, as one worker each."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self._numbers: dict[str, int] = {}
        self._keys: list[WorkerKey] = []

    def add(self, fields: Mapping[str, Any], key: WorkerKey, operation: str) -> None:
        """Add the events of one action."""
        time = float(fields.get("sent", 0.0))
        names: dict[str, Any] = {"action": str(fields["action"]), "operation": operation}
        client: dict[str, Any] = {
            "mnemonic": str(fields["mnemonic"]),
            "target": str(fields["target"]),
        }
        pool = str(fields["pool"])
        route = ActionRouted(
            **names,
            **client,
            mode=Mode.WORKER.value,
            reason="it is in the recording, which has actions on workers only",
            key=pool,
            key_components=key.components,
            asks_for_worker=True,
            tool_inputs=len(key.tool_inputs.files),
        )
        made = tuple(FileRecord(each["path"], each["digest"]) for each in fields.get("made", ()))
        is_reused = pool in self._numbers
        self._append(route, time)
        worker = self._worker(pool, key, {**names, **client}, time)
        end = ActionCompleted(
            **names,
            **client,
            mode=Mode.WORKER.value,
            reason=route.reason,
            worker=worker,
            reused=is_reused,
            exit_code=int(fields["exit_code"]),
            cached=False,
            seconds=0.0,
            outputs=made,
        )
        self._append(RequestSent(worker=worker, request_id=0, inputs=0, **names), time)
        self._append(end, time)

    def _worker(self, pool: str, key: WorkerKey, names: Mapping[str, Any], time: float) -> int:
        """Return the number of the pool's worker, which starts when it is new."""
        if pool in self._numbers:
            return self._numbers[pool]
        if self._keys:
            self._append(self._not_reused(pool, key, names), time)
        number = self._numbers[pool] = len(self._keys) + 1
        self._keys.append(key)
        started = WorkerStarted(
            worker=number,
            pid=_NO_PROCESS,
            mnemonic=names["mnemonic"],
            target=names["target"],
            key=pool,
            startup_arguments=key.startup_arguments,
            tool_inputs=key.tool_inputs.records(),
            key_components=key.components,
        )
        self._append(started, time)
        return number

    def _not_reused(self, pool: str, key: WorkerKey, names: Mapping[str, Any]) -> WorkerNotReused:
        compared = [
            (number, differences(each.components, key.components))
            for number, each in enumerate(self._keys, start=1)
        ]
        closest, texts = min(reversed(compared), key=lambda pair: len(pair[1]))
        return WorkerNotReused(**names, key=pool, closest_worker=closest, differences=tuple(texts))

    def _append(self, event: Event, time: float) -> None:
        object.__setattr__(event, "seq", len(self.events) + 1)
        object.__setattr__(event, "time", time)
        self.events.append(event)


def _key(fields: Mapping[str, Any]) -> WorkerKey:
    tools = [
        ToolInput(
            each["path"],
            each.get("digest") or f"-> {each.get('target', '')}",
            bool(each.get("executable")),
        )
        for each in fields["inputs"]
        if each["tool"]
    ]
    return WorkerKey(
        client_key=fields["key"],
        protocol=WorkerProtocol(fields["protocol"]),
        abilities=tuple(map(Ability, fields["abilities"])),
        startup_arguments=tuple(fields["command"]),
        environment=tuple(sorted(fields["environment"].items())),
        working_directory=fields["working_directory"],
        tool_inputs=ToolInputs(sorted(tools)),
    )
