"""Recordings: the worker actions of a real build, kept in a folder with all their inputs.

The folder holds ``actions.jsonl``, one action a line in the order of completion, and ``blobs``, the
content of inputs by hash. `Recorder` writes it while a server runs; `load` makes suites of it.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from rpw_fixture.errors import ConfigError, EnvironmentLacksError, RequestError, invalid_argument
from rpw_fixture.events.kinds import FileRecord
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.routing import PERSISTENT_FLAG, Route
from rpw_fixture.hermeticity.suites.suite import Suite, SuiteAction, SuiteWorker
from rpw_fixture.client.inputs import EmptyFolder, Entry, File, Symlink
from rpw_fixture.support.private_files import make_private_folder, private_opener
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.trees import FileEntry, Folder, SymlinkEntry
from rpw_fixture.workers.personalities.rules import FlagfileBase

_ACTIONS, _BLOBS = "actions.jsonl", "blobs"


class Recorder:
    """Records actions that ran on workers. Thread-safe.

    Args:
        folder: made when it is not there; a recording that is there is continued.
        flagfile_base: what paths of flagfiles are relative to, by the rules of the server.

    Raises:
        EnvironmentLacksError: when it can't be written.
    """

    def __init__(
        self, folder: Path, flagfile_base: FlagfileBase = FlagfileBase.WORKING_DIRECTORY
    ) -> None:
        self._folder = folder
        self._flagfile_base = flagfile_base
        self._lock = threading.Lock()
        try:
            make_private_folder(folder / _BLOBS)
            self._file = open(  # noqa: SIM115 - open for the recorder's life
                folder / _ACTIONS, "a", encoding="utf-8", buffering=1, opener=private_opener
            )
        except OSError as error:
            raise EnvironmentLacksError(f"--record {folder}: {error.strerror}") from None

    def add(
        self,
        action: ResolvedAction,
        route: Route,
        *,
        mnemonic: str,
        target: str,
        sent: float,
        exit_code: int,
        outputs: Iterable[FileRecord],
    ) -> None:
        """Records an action whose request was answered; one-shot actions are passed over.

        Args:
            action: what ran.
            route: names its worker's key and its flagfiles.
            mnemonic, target: as the client told them.
            sent: when its request was sent, in seconds since the epoch.
            exit_code: of the response.
            outputs: what was collected.

        Raises:
            OSError: when the disk is full.
        """
        key = route.key
        if key is None:
            return
        tools = {each.path for each in key.tool_inputs.files}
        arguments, read = self._expanded(action, route)
        line = {
            "action": str(action.digest),
            "mnemonic": mnemonic,
            "target": target,
            "key": key.client_key,
            "pool": key.digest,
            "protocol": key.protocol,
            "abilities": list(key.abilities),
            "command": [each for each in key.startup_arguments if each != PERSISTENT_FLAG],
            "environment": dict(key.environment),
            "working_directory": key.working_directory,
            "timeout": action.timeout,
            "arguments": list(arguments),
            "flagfiles": list(read),
            "outputs": list(action.command.outputs),
            "sent": sent,
            "exit_code": exit_code,
            "made": [each._asdict() for each in outputs],
            "inputs": list(self._inputs(action, tools)),
        }
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with self._lock:
            self._file.write(text)

    def close(self) -> None:
        """Ends the recording."""
        with self._lock:
            self._file.close()

    def _expanded(
        self, action: ResolvedAction, route: Route
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return the arguments in the flagfiles, and the paths of those.

        Where workers get the names of flagfiles, it is theirs to read them, and the server refuses no
        action whose flagfiles can't be read. Its arguments are recorded as they are.
        """
        is_from_root = self._flagfile_base is FlagfileBase.INPUT_ROOT
        base = "" if is_from_root else action.command.working_directory
        read: list[str] = []
        try:
            found = flagfiles.expand(
                route.flagfiles, lambda path: _flagfile(action, base, path, read)
            )
        except RequestError:
            return route.flagfiles, ()
        return found, read

    def _inputs(self, action: ResolvedAction, tools: set[str]) -> Iterator[dict[str, object]]:
        for path, entry in _walk(action.root, ""):
            told: dict[str, object] = {"path": path, "tool": path in tools}
            if isinstance(entry, FileEntry):
                self._keep(action, entry.digest)
                told |= {"digest": str(entry.digest), "executable": entry.is_executable}
            elif isinstance(entry, SymlinkEntry):
                told |= {"target": entry.target}
            yield told

    def _keep(self, action: ResolvedAction, digest: Digest) -> None:
        path = _blob_path(self._folder, str(digest))
        if path.exists():
            return
        make_private_folder(path.parent)
        partial = path.with_name(f"{path.name}.{threading.get_ident()}")
        with open(partial, "wb", opener=private_opener) as file:
            file.write(action.store.get(digest))
        partial.replace(path)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedAction:
    """One line of a recording.

    Attributes:
        mnemonic, target: what the client called it.
        key: ``persistentWorkerKey``.
        pool: equal for actions that could share a worker process on the server that recorded them.
        worker: what served it.
        action: what was asked.
        sent: when, in seconds since the epoch.
    """

    mnemonic: str
    target: str
    key: str
    pool: str
    worker: SuiteWorker
    action: SuiteAction
    sent: float = 0.0


def load(folder: Path) -> tuple[RecordedAction, ...]:
    """The actions of a recording, in the order of their requests, each of them once.

    Raises:
        ConfigError: for a folder that is no recording, or lacks something; it names the line.
    """
    path = folder / _ACTIONS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise ConfigError(f"{folder}: no recording ({path}: {error.strerror})") from None
    reader = _Reader(folder)
    found: dict[tuple[str, str], RecordedAction] = {}
    for number, line in enumerate(lines, start=1):
        try:
            fields = json.loads(line)
            found.setdefault((fields["action"], fields["key"]), reader.action(fields, number))
        except (ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{path}:{number}: no recorded action: {error!r}") from None
        except OSError as error:
            raise ConfigError(f"{path}:{number}: {error.filename}: {error.strerror}") from None
    if not found:
        raise ConfigError(f"{path}: the recording holds no action that ran on a worker")
    # A worker takes its next request before the last one's line is written.
    return tuple(sorted(found.values(), key=lambda each: each.sent))


def suites(recorded: Iterable[RecordedAction]) -> list[Suite]:
    """A suite for each worker of a recording, with that worker's actions."""
    groups: dict[object, list[RecordedAction]] = {}
    for each in recorded:
        groups.setdefault(worker_identity(each.worker), []).append(each)
    return [
        Suite(worker=group[0].worker, actions=tuple(each.action for each in group))
        for group in groups.values()
    ]


def worker_identity(worker: SuiteWorker) -> tuple[object, ...]:
    """What two actions must have in common to run on one worker, whatever their keys say."""
    return (
        worker.command,
        worker.environment,
        worker.working_directory,
        worker.protocol,
        tuple((path, _told(entry)) for path, entry in worker.tool_inputs.items()),
    )


class _Reader:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._blobs: dict[str, bytes] = {}
        self._names: dict[str, int] = {}

    def action(self, fields: Mapping[str, Any], number: int) -> RecordedAction:
        tools = self._entries(fields, is_tool=True)
        worker = SuiteWorker(
            command=tuple(fields["command"]),
            tool_inputs=tools,
            protocol=fields["protocol"],
            multiplex="multiplex" in fields["abilities"],
            sandbox="sandbox" in fields["abilities"],
            cancellation="cancellation" in fields["abilities"],
            timeout=float(fields["timeout"]),
            environment=tuple(sorted(fields["environment"].items())),
            working_directory=fields["working_directory"],
        )
        action = SuiteAction(
            name=self._name(fields),
            arguments=tuple(fields["arguments"]),
            inputs=self._entries(fields, is_tool=False),
            outputs=tuple(fields["outputs"]),
            exit_code=fields["exit_code"],
            flagfile=f"recorded-{number}.params",
        )
        return RecordedAction(
            mnemonic=fields["mnemonic"],
            target=fields["target"],
            key=fields["key"],
            pool=fields["pool"],
            worker=worker,
            action=action,
            sent=float(fields["sent"]),
        )

    def _name(self, fields: Mapping[str, Any]) -> str:
        """Target and mnemonic, and a number where they name several actions."""
        name = " ".join(each for each in (fields["target"], fields["mnemonic"]) if each)
        name = name or fields["action"][:12]
        self._names[name] = self._names.get(name, 0) + 1
        count = self._names[name]
        return name if count == 1 else f"{name} #{count}"

    def _entries(self, fields: Mapping[str, Any], *, is_tool: bool) -> Mapping[str, Entry]:
        # What stood in the flagfiles is among the arguments, and goes into a flagfile of our own.
        folded = frozenset(fields.get("flagfiles", ()))
        return MappingProxyType(
            {
                each["path"]: self._entry(each)
                for each in fields["inputs"]
                if each["tool"] is is_tool and each["path"] not in folded
            }
        )

    def _entry(self, told: Mapping[str, Any]) -> Entry:
        if "target" in told:
            return Symlink(told["target"])
        if "digest" not in told:
            return EmptyFolder()
        digest = told["digest"]
        if digest not in self._blobs:
            self._blobs[digest] = _blob_path(self._folder, digest).read_bytes()
        return File(self._blobs[digest], told["executable"])


def _told(entry: Entry) -> object:
    if isinstance(entry, File):
        return hash(entry.content), entry.is_executable
    return entry


def _blob_path(folder: Path, digest: str) -> Path:
    hash_, _, size = digest.partition("/")
    if not hash_.isalnum() or not size.isdigit():
        raise ValueError(f"{digest!r} is no digest")
    return folder / _BLOBS / hash_[:2] / f"{hash_}-{size}"


def _flagfile(action: ResolvedAction, base: str, path: str, read: list[str]) -> bytes:
    """The content of a flagfile, whose path is added to ``read``."""
    full = os.path.normpath(os.path.join(base, path))
    entry = None if path.startswith("/") else action.root.find(full)
    if not isinstance(entry, FileEntry):
        raise invalid_argument(f"flagfile {path!r} is no declared input of the action")
    read.append(full)
    return action.store.get(entry.digest)


def _walk(folder: Folder, prefix: str) -> Iterator[tuple[str, FileEntry | SymlinkEntry | None]]:
    """Files, links and empty folders (told as None) with their paths, sorted."""
    names = sorted((*folder.files, *folder.symlinks, *folder.folders))
    if not names and prefix:
        yield prefix.rstrip("/"), None
    for name in names:
        if name in folder.folders:
            yield from _walk(folder.folders[name], f"{prefix}{name}/")
        else:
            yield prefix + name, folder.files.get(name) or folder.symlinks[name]
