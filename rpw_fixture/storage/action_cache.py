"""The action cache: encoded results by instance name, digest function and action digest.

complete_results.py decodes results and checks that their blobs are stored.
"""

from __future__ import annotations

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from rpw_fixture.storage.blob_index import Blob
from rpw_fixture.storage.durable_folder import DurableFolder
from rpw_fixture.storage.files import TemporaryFiles, remove
from rpw_fixture.wire.digests import Digest

_CHECKSUM_BYTES = 32
#: Memory that the objects around a result take, which matters because most results are small.
_ENTRY_BYTES = 400
_log = logging.getLogger(__name__)


class ActionKey(NamedTuple):
    """The key of a result; ``function`` is the name of the digest function."""

    instance: str
    function: str
    action: Digest

    @property
    def file_name(self) -> str:
        """Name of its file; a hash, because an instance name may contain any character."""
        text = f"{self.function}/{self.action}/{self.instance}"
        return hashlib.sha256(text.encode()).hexdigest()


class CachedResult:
    """An entry.

    Attributes:
        encoded: the ActionResult message; may be empty.
        complete_at: the CAS's eviction count when all its blobs were last known to be stored.
        blobs: the blobs that it names.
    """

    __slots__ = ("blobs", "complete_at", "encoded")

    def __init__(self, encoded: bytes) -> None:
        self.encoded = encoded
        self.complete_at = -1
        self.blobs: Sequence[Blob] = ()


class ActionCache:
    """Results of actions; the least recently used are dropped beyond a limit. Thread-safe.

    Args:
        folder: keeps results across restarts, for this server only; None: keep them in memory.
        max_bytes: most bytes of results in memory, with the objects around them.
        max_files: most results in the folder; when the server starts, the oldest others are deleted.

    Raises:
        EnvironmentLacksError: when another server uses the folder.
    """

    def __init__(
        self, folder: Path | None = None, *, max_bytes: int = 16 << 20, max_files: int = 200_000
    ) -> None:
        self._entries: OrderedDict[ActionKey, CachedResult] = OrderedDict()
        self._max_bytes = max_bytes
        self._used = 0
        self._lock = threading.Lock()
        self._files = _ResultFiles(folder, max_files) if folder is not None else None

    def get(self, key: ActionKey) -> CachedResult | None:
        """Return an entry and mark it as used now; None when there is none."""
        with self._lock:
            entry = self._entries.get(key)
            if entry is not None:
                self._entries.move_to_end(key)
                return entry
        encoded = self._files.read(key) if self._files is not None else None
        return None if encoded is None else self._keep(key, encoded)

    def put(self, key: ActionKey, encoded: bytes) -> None:
        """Store an encoded ActionResult, in place of an earlier one.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when the disk is full; then nothing changes.
        """
        if self._files is not None:
            self._files.write(key, encoded)
        self._keep(key, encoded)

    def remove(self, key: ActionKey) -> bool:
        """Remove an entry; return whether there was one."""
        was_there = self.get(key) is not None
        with self._lock:
            entry = self._entries.pop(key, None)
            self._used -= 0 if entry is None else _cost(entry)
        if self._files is not None:
            self._files.delete(key)
        return was_there

    def clear(self) -> None:
        """Remove everything, on disk too."""
        with self._lock:
            self._entries.clear()
            self._used = 0
        if self._files is not None:
            self._files.delete_all()

    def close(self) -> None:
        """Unlock the folder, so that another server can use it."""
        if self._files is not None:
            self._files.close()

    def __len__(self) -> int:
        """Return the number of results in memory."""
        return len(self._entries)

    def _keep(self, key: ActionKey, encoded: bytes) -> CachedResult:
        entry = CachedResult(encoded)
        with self._lock:
            replaced = self._entries.pop(key, None)
            self._used += _cost(entry) - (0 if replaced is None else _cost(replaced))
            self._entries[key] = entry
            while self._used > self._max_bytes and len(self._entries) > 1:
                _oldest, dropped = self._entries.popitem(last=False)
                self._used -= _cost(dropped)
        return entry


class _ResultFiles:
    """A folder with one file for each result: a checksum and the message."""

    def __init__(self, folder: Path, max_files: int) -> None:
        self._durable = DurableFolder(folder)
        self._temporary = TemporaryFiles(folder / "tmp")
        files = self._durable.published("results")
        for entry in files[: max(0, len(files) - max_files)]:
            remove(entry.path)

    def read(self, key: ActionKey) -> bytes | None:
        path = self._path(key)
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        checksum, encoded = content[:_CHECKSUM_BYTES], content[_CHECKSUM_BYTES:]
        if hashlib.sha256(encoded).digest() != checksum:  # possible after a crash of the machine
            _log.error("%s did not contain an intact action result, so it was removed", path)
            remove(str(path))
            return None
        return encoded

    def write(self, key: ActionKey, encoded: bytes) -> None:
        temporary = self._temporary.write(hashlib.sha256(encoded).digest() + encoded)
        self._durable.publish(temporary, *self._name(key))

    def delete(self, key: ActionKey) -> None:
        remove(str(self._path(key)))

    def delete_all(self) -> None:
        for entry in self._durable.published("results"):
            remove(entry.path)

    def close(self) -> None:
        self._durable.close()

    def _path(self, key: ActionKey) -> Path:
        return self._durable.folder.joinpath(*self._name(key))

    @staticmethod
    def _name(key: ActionKey) -> tuple[str, str, str]:
        name = key.file_name
        return "results", name[:2], name


def _cost(entry: CachedResult) -> int:
    return len(entry.encoded) + _ENTRY_BYTES
