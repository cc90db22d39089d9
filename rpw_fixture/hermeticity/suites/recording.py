"""Recordings: the worker actions of a real build, kept in a folder with all their inputs.

The folder holds ``actions.jsonl``, one action per line in the order of completion, and ``blobs``, the
content of inputs by hash. `execution.recorder.Recorder` writes it while a server runs, and
`workers.tee` while a build tool runs its own workers.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rpw_fixture.client.inputs import EmptyFolder, Entry, File, Symlink
from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.suite import Place, Suite, SuiteAction, SuiteWorker
from rpw_fixture.storage.recording_folder import ACTIONS_FILE, blob_path, reasons_for_gaps
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import Ability

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAction:
    """One line of a recording.

    Attributes:
        mnemonic, target: the client's names for it.
        key: its ``persistentWorkerKey``.
        pool: equal for actions that could share a worker process on the server that recorded them.
        worker: the worker that served it.
        action: the action.
        sent: when its request was sent, seconds since the epoch.
        place: its line in the recording.
    """

    mnemonic: str
    target: str
    key: str
    pool: str
    worker: SuiteWorker
    action: SuiteAction
    sent: float = 0.0
    place: Place | None = None


def load(folder: Path) -> tuple[RecordedAction, ...]:
    """Return the actions of a recording, in the order of their requests, each of them once.

    Raises:
        ConfigError: the folder is not a recording, or is incomplete; the message names the line.
    """
    path = folder / ACTIONS_FILE
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{folder}: not a recording ({path}: {error.strerror})") from None
    reader = _RecordingReader(folder)
    found: dict[tuple[str, str], RecordedAction] = {}
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            found.setdefault((fields["action"], fields["key"]), reader.action(fields, number))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}:{number}: not a recorded action: {error!r}") from None
        except OSError as error:
            raise ConfigError(f"{path}:{number}: {error.filename}: {error.strerror}") from None
    if not found:
        raise ConfigError(
            f"{path}: the recording holds no action that ran on a worker{_why(folder)}"
        )
    # A worker may take its next request before the line of the previous one is written.
    return tuple(sorted(found.values(), key=lambda each: each.sent))


def _why(folder: Path) -> str:
    """Return why a recording is empty, as the end of a message."""
    reasons = reasons_for_gaps(folder)
    if not reasons:
        return ": no action reached what recorded it"
    more = f" (and {len(reasons) - _SHOWN} more reasons)" if len(reasons) > _SHOWN else ""
    return f": {'; '.join(reasons[:_SHOWN])}{more}"


def suites(recorded: Iterable[RecordedAction]) -> list[Suite]:
    """Return a suite for each worker of a recording, with that worker's actions."""
    groups: dict[object, list[RecordedAction]] = {}
    for each in recorded:
        groups.setdefault(worker_identity(each.worker), []).append(each)
    return [
        Suite(
            worker=group[0].worker,
            actions=tuple(each.action for each in group),
            places=places(group),
        )
        for group in groups.values()
    ]


def places(recorded: Iterable[RecordedAction]) -> Mapping[str, Place]:
    """Return the lines of recorded actions by name; that of the first one stands for the worker."""
    found: dict[str, Place] = {}
    for each in recorded:
        if each.place is not None:
            found.setdefault("", each.place)
            found[each.action.name] = each.place
    return MappingProxyType(found)


def worker_identity(worker: SuiteWorker) -> tuple[object, ...]:
    """Return what two actions must have in common to run on one worker, apart from their keys."""
    return (
        worker.command,
        worker.environment,
        worker.working_directory,
        worker.protocol,
        tuple((path, _comparable(entry)) for path, entry in worker.tool_inputs.items()),
    )


class ActionNames:
    """Gives the recorded actions of a folder their names, in the order of its lines."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def take(self, fields: Mapping[str, Any]) -> str:
        """Return target and mnemonic of the next line, with a number if they name several actions."""
        name = " ".join(each for each in (fields.get("target"), fields.get("mnemonic")) if each)
        name = name or fields["action"][:12]
        count = self._counts[name] = self._counts.get(name, 0) + 1
        return name if count == 1 else f"{name} #{count}"


class _RecordingReader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs: dict[str, bytes] = {}
        self._names = ActionNames()

    def action(self, fields: Mapping[str, Any], number: int) -> RecordedAction:
        tools = self._entries(fields, is_tool=True)
        worker = SuiteWorker(
            command=tuple(fields["command"]),
            tool_inputs=tools,
            protocol=WorkerProtocol(fields["protocol"]),
            multiplex=Ability.MULTIPLEX in fields["abilities"],
            sandbox=Ability.SANDBOX in fields["abilities"],
            cancellation=Ability.CANCELLATION in fields["abilities"],
            timeout=float(fields["timeout"]),
            environment=tuple(sorted(fields["environment"].items())),
            working_directory=fields["working_directory"],
        )
        action = SuiteAction(
            name=self._names.take(fields),
            arguments=tuple(fields["arguments"]),
            inputs=self._entries(fields, is_tool=False),
            outputs=tuple(fields["outputs"]),
            exit_code=fields["exit_code"],
            flagfile=f"recorded-{number}.params",
            do_not_cache=fields.get("do_not_cache", False),
        )
        return RecordedAction(
            mnemonic=fields["mnemonic"],
            target=fields["target"],
            key=fields["key"],
            pool=fields["pool"],
            worker=worker,
            action=action,
            sent=float(fields["sent"]),
            place=Place(str(self._folder / ACTIONS_FILE), number),
        )

    def _entries(self, fields: Mapping[str, Any], *, is_tool: bool) -> Mapping[str, Entry]:
        # The content of the flagfiles is among the arguments, which go into another flagfile.
        folded = frozenset(fields.get("flagfiles", ()))
        return MappingProxyType(
            {
                each["path"]: self._entry(each)
                for each in fields["inputs"]
                if each["tool"] is is_tool and each["path"] not in folded
            }
        )

    def _entry(self, fields: Mapping[str, Any]) -> Entry:
        if "target" in fields:
            return Symlink(fields["target"])
        if "digest" not in fields:
            return EmptyFolder()
        digest = fields["digest"]
        if digest not in self._blobs:
            self._blobs[digest] = blob_path(self._folder, digest).read_bytes()
        return File(self._blobs[digest], fields["executable"])


def _comparable(entry: Entry) -> object:
    if isinstance(entry, File):
        return hash(entry.content), entry.is_executable
    return entry
