"""Write a recording: the worker actions of a build, in a folder with all their inputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

from rpw_fixture.errors import RequestError
from rpw_fixture.events.kinds import FileRecord
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.routing import Route
from rpw_fixture.storage.recording_folder import RecordingFolder
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.flagfiles import FlagfileReader
from rpw_fixture.wire.trees import FileEntry, Folder, SymlinkEntry
from rpw_fixture.wire.worker.protocol_names import PERSISTENT_FLAG
from rpw_fixture.workers.personalities.rules import FlagfileBase


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
        self.folder = folder
        self._flagfile_base = flagfile_base
        self._folder = RecordingFolder(folder, "--record")

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
        """Record an action whose request was answered; skip one-shot actions.

        Args:
            action: what ran.
            route: names its worker's key and its flagfiles.
            mnemonic, target: from the client's RequestMetadata.
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
            "protocol": key.protocol.value,
            "abilities": [each.value for each in key.abilities],
            "command": [each for each in key.startup_arguments if each != PERSISTENT_FLAG],
            "environment": dict(key.environment),
            "working_directory": key.working_directory,
            "timeout": action.timeout,
            "do_not_cache": action.do_not_cache,
            "arguments": list(arguments),
            "flagfiles": list(read),
            "outputs": list(action.command.outputs),
            "sent": sent,
            "exit_code": exit_code,
            "made": [each._asdict() for each in outputs],
            "inputs": list(self._inputs(action, tools)),
        }
        self._folder.add(line)

    def explain_gap(self, route: Route) -> None:
        """Note why an action that ran one-shot is not recorded.

        Raises:
            OSError: when the disk is full.
        """
        self._folder.explain_gap(f"actions ran one-shot: {route.reason}")

    def close(self) -> None:
        """End the recording."""
        self._folder.close()

    def _expanded(
        self, action: ResolvedAction, route: Route
    ) -> tuple[Sequence[str], Sequence[str]]:
        """Return the arguments in the flagfiles, and the paths of those.

        With some personalities the worker reads the flagfiles, and the server accepts actions whose
        flagfiles it can't read. The arguments of these are recorded unexpanded.
        """
        is_from_root = self._flagfile_base is FlagfileBase.INPUT_ROOT
        base = "" if is_from_root else action.command.working_directory
        reader = FlagfileReader(action.root, base, action.store.get)
        try:
            return flagfiles.expand(route.flagfiles, reader.read), reader.paths
        except RequestError:
            return route.flagfiles, ()

    def _inputs(self, action: ResolvedAction, tools: set[str]) -> Iterator[dict[str, object]]:
        for path, entry in _walk(action.root, ""):
            record: dict[str, object] = {"path": path, "tool": path in tools}
            if isinstance(entry, FileEntry):
                self._folder.keep(str(entry.digest), partial(action.store.get, entry.digest))
                record |= {"digest": str(entry.digest), "executable": entry.is_executable}
            elif isinstance(entry, SymlinkEntry):
                record |= {"target": entry.target}
            yield record


def _walk(folder: Folder, prefix: str) -> Iterator[tuple[str, FileEntry | SymlinkEntry | None]]:
    """Yield files, links and empty folders (as None) with their paths, sorted."""
    names = sorted((*folder.files, *folder.symlinks, *folder.folders))
    if not names and prefix:
        yield prefix.rstrip("/"), None
    for name in names:
        if name in folder.folders:
            yield from _walk(folder.folders[name], f"{prefix}{name}/")
        else:
            yield prefix + name, folder.files.get(name) or folder.symlinks[name]
