"""The content of files that an execution log names by digest: from folders, or from a CAS."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedFile
from rpw_fixture.wire.digests import Digest

if TYPE_CHECKING:
    from rpw_fixture.client import Client

#: Bazel's names of digest functions, without hyphens.
_HASHERS: dict[str, Callable[[bytes], Any]] = {
    "SHA256": hashlib.sha256,
    "SHA1": hashlib.sha1,
    "SHA384": hashlib.sha384,
    "SHA512": hashlib.sha512,
    "MD5": hashlib.md5,
}
_Key = tuple[str, str]
Download = Callable[[Collection[Digest]], Mapping[Digest, bytes]]


class Contents:
    """Finds the contents of files; a content with another digest is never used.

    Args:
        exec_root: Bazel's execution root; its output base is looked at as well.
        workspace: the folder of the build's sources.
        download: returns those of some blobs that a CAS has.
    """

    def __init__(
        self,
        *,
        exec_root: Path | None = None,
        workspace: Path | None = None,
        download: Download | None = None,
    ) -> None:
        self._folders = _folders(exec_root, workspace)
        self._download = download
        self._known: dict[_Key, tuple[bytes, bool] | str] = {}

    def find(self, files: Iterable[LoggedFile]) -> None:
        """Look for the contents of files, those of the CAS in one go.

        Raises:
            RequestError, EnvironmentLacksError: when the CAS does not answer.
        """
        wanted: dict[_Key, LoggedFile] = {}
        for each in files:
            key = _key(each)
            if key in self._known or key in wanted:
                continue
            found = self._look_in_folders(each)
            if isinstance(found, str) and self._download is not None and _hasher(each.function):
                wanted[key] = each
            self._known[key] = found
        if self._download is None or not wanted:
            return
        blobs = self._download({_digest(each) for each in wanted.values()})
        for key, each in wanted.items():
            content = blobs.get(_digest(each))
            if content is not None:
                is_right = _is_right(each, content)
                self._known[key] = (content, False) if is_right else "is damaged in the CAS"

    def get(self, file: LoggedFile) -> tuple[bytes, bool] | str:
        """Return a file's content and whether it is executable, or why it can't be had."""
        self.find((file,))
        return self._known[_key(file)]

    def _look_in_folders(self, file: LoggedFile) -> tuple[bytes, bool] | str:
        if file.size == 0:
            return b"", False
        if _hasher(file.function) is None:
            return f"has a digest of the unknown function {file.function}"
        reason = "is not there"
        for folder in self._folders:
            full = folder / (file.source or file.path)
            try:
                content = full.read_bytes()
                is_executable = bool(full.stat().st_mode & 0o100)
            except OSError:
                continue
            if _is_right(file, content):
                return content, is_executable
            reason = "has changed since the build"
        return reason


def cas_download(client: Client) -> Download:
    """Return a function that downloads blobs from the CAS of a client; missing ones are left out."""

    def download(digests: Collection[Digest]) -> Mapping[Digest, bytes]:
        return client.download(set(digests) - client.find_missing(digests))

    return download


def _key(file: LoggedFile) -> _Key:
    return file.digest, file.source or file.path


def _digest(file: LoggedFile) -> Digest:
    return Digest(file.digest.partition("/")[0], file.size)


def _folders(exec_root: Path | None, workspace: Path | None) -> Sequence[Path]:
    found = []
    if exec_root is not None:
        # OUTPUT_BASE/execroot/NAME; external repositories are in the output base.
        found += [exec_root, exec_root.resolve().parents[1]]
    if workspace is not None:
        found.append(workspace)
    return found


def _is_right(file: LoggedFile, content: bytes) -> bool:
    hasher = _hasher(file.function)
    hash_ = file.digest.partition("/")[0]
    return hasher is not None and len(content) == file.size and hasher(content).hexdigest() == hash_


def _hasher(function: str) -> Callable[[bytes], Any] | None:
    name = function.upper().replace("-", "") or "SHA256"
    if name == "BLAKE3":
        try:
            blake3: Callable[[bytes], Any] = importlib.import_module("blake3").blake3
        except ImportError:
            return None
        return blake3
    return _HASHERS.get(name)
