"""Write a recording: the worker actions of a build, in a folder with all their inputs."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError, RequestError
from rpw_fixture.events.kinds import FileRecord
from rpw_fixture.execution.resolve import ResolvedAction
from rpw_fixture.execution.routing import PERSISTENT_FLAG, Route
from rpw_fixture.support.private_files import make_private_folder, private_opener
from rpw_fixture.wire import flagfiles
from rpw_fixture.wire.digests import Digest
from rpw_fixture.wire.flagfiles import FlagfileReader
from rpw_fixture.wire.trees import FileEntry, Folder, SymlinkEntry
from rpw_fixture.workers.personalities.rules import FlagfileBase

ACTIONS_FILE, BLOBS_FOLDER = "actions.jsonl", "blobs"


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
        self._lock = threading.Lock()
        try:
            make_private_folder(folder / BLOBS_FOLDER)
            self._file = open(  # noqa: SIM115 - open for the recorder's life
                folder / ACTIONS_FILE, "a", encoding="utf-8", buffering=1, opener=private_opener
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
        text = json.dumps(line, ensure_ascii=False) + "\n"
        with self._lock:
            self._file.write(text)

    def close(self) -> None:
        """End the recording."""
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
        reader = FlagfileReader(action.root, base, action.store.get)
        try:
            return flagfiles.expand(route.flagfiles, reader.read), reader.paths
        except RequestError:
            return route.flagfiles, ()

    def _inputs(self, action: ResolvedAction, tools: set[str]) -> Iterator[dict[str, object]]:
        for path, entry in _walk(action.root, ""):
            record: dict[str, object] = {"path": path, "tool": path in tools}
            if isinstance(entry, FileEntry):
                self._keep(action, entry.digest)
                record |= {"digest": str(entry.digest), "executable": entry.is_executable}
            elif isinstance(entry, SymlinkEntry):
                record |= {"target": entry.target}
            yield record

    def _keep(self, action: ResolvedAction, digest: Digest) -> None:
        path = blob_path(self.folder, str(digest))
        if path.exists():
            return
        make_private_folder(path.parent)
        partial = path.with_name(f"{path.name}.{threading.get_ident()}")
        with open(partial, "wb", opener=private_opener) as file:
            file.write(action.store.get(digest))
        partial.replace(path)


def blob_path(folder: Path, digest: str) -> Path:
    """Return where a recording keeps a blob.

    Raises:
        ValueError: when ``digest`` is not ``hash/size``.
    """
    hash_, _, size = digest.partition("/")
    if not hash_.isalnum() or not size.isdigit():
        raise ValueError(f"{digest!r} is not a digest")
    return folder / BLOBS_FOLDER / hash_[:2] / f"{hash_}-{size}"


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
