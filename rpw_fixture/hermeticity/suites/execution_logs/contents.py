"""The content of files that an execution log names by digest: from folders, or from a CAS."""

from __future__ import annotations

import hashlib
import importlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedFile
from rpw_fixture.wire.digests import Digest

#: Bazel's names of digest functions, without hyphens.
_HASHERS: dict[str, Callable[[bytes], Any]] = {
    "SHA256": hashlib.sha256,
    "SHA1": hashlib.sha1,
    "SHA384": hashlib.sha384,
    "SHA512": hashlib.sha512,
    "MD5": hashlib.md5,
}
_MISSING = "is not there"
_CHANGED = "has changed since the build"

Download = Callable[[Digest], bytes | None]


class Contents:
    """Finds contents, and believes none whose digest is another.

    Args:
        exec_root: Bazel's execution root; its output base is looked at as well.
        workspace: the folder of the build's sources.
        download: returns a blob of a CAS, or None if it is not there.
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
        self._known: dict[tuple[str, str], tuple[bytes | None, bool, str]] = {}

    def get(self, file: LoggedFile) -> tuple[bytes, bool] | str:
        """Return a file's content and whether it is executable, or why it can't be had."""
        if not file.digest:
            return b"", False
        key = (file.digest, file.source or file.path)
        if key not in self._known:
            self._known[key] = self._find(file, key[1])
        content, is_executable, reason = self._known[key]
        return (content, is_executable) if content is not None else reason

    def _find(self, file: LoggedFile, path: str) -> tuple[bytes | None, bool, str]:
        if file.size == 0:
            return b"", False, ""
        hash_, is_known = file.digest.partition("/")[0], _hasher(file.function) is not None
        if not is_known:
            return None, False, f"has a digest of the unknown function {file.function}"
        reason = _MISSING
        for folder in self._folders:
            full = folder / path
            try:
                content = full.read_bytes()
                is_executable = bool(full.stat().st_mode & 0o100)
            except OSError:
                continue
            if _is_right(file, content):
                return content, is_executable, ""
            reason = _CHANGED
        content_or_none = None
        if self._download is not None:
            content_or_none = self._download(Digest(hash_, file.size))
        if content_or_none is None:
            return None, False, reason
        if not _is_right(file, content_or_none):
            return None, False, "is damaged in the CAS"
        return content_or_none, False, ""


def cas_download(client: Any) -> Download:
    """Return a function that downloads a blob from the CAS of a client.

    It raises what the client raises, except that the blob is not there.
    """

    def download(digest: Digest) -> bytes | None:
        if digest in client.find_missing([digest]):
            return None
        blobs: dict[Digest, bytes] = client.download([digest])
        return blobs.get(digest)

    return download


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
