"""Results of trials in a folder that outlives the program: documents by key, and content by digest.

Programs that use the folder at the same time, and those that were killed, do no harm: a file appears
complete or not at all, and what is read is compared with its digest. What is damaged counts as missing.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture.wire.digests import SHA256, Digest

#: The layout of the folder; another one has another name.
_LAYOUT = "check-results-1"
_RESULTS, _BLOBS, _NEW = "results", "blobs", "new"
#: Bytes that stay, at most; the usual limit.
USUAL_LIMIT = 1 << 30
#: When the limit is reached, files are removed until this part of it is left.
_KEPT = 0.8
#: An unfinished file of this age was left by a program that was killed, seconds.
_ABANDONED = 3600.0
_TAG = (
    "Signature: 8a477f597d28d172789f06886806bc55\n"
    "# Results of trials of rpw-fixture check. The folder can be deleted at any time.\n"
)


class ResultStore:
    """A folder with results. Thread-safe, and safe for several programs at once.

    Args:
        folder: the folder; it is created for this user alone.
        limit: bytes that are kept when the program ends; what was used longest ago goes first.

    Raises:
        OSError: the folder can't be created or written.
    """

    def __init__(self, folder: Path, limit: int = USUAL_LIMIT) -> None:
        self._root = folder / _LAYOUT
        self._limit = limit
        self._serial = itertools.count()
        self._lock = threading.Lock()
        self._has_grown = False
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for each in (_RESULTS, _BLOBS, _NEW):
            (self._root / each).mkdir(mode=0o700, parents=True, exist_ok=True)
        if not (folder / "CACHEDIR.TAG").exists():
            self._write(folder / "CACHEDIR.TAG", _TAG.encode())

    def read_result(self, key: str) -> bytes | None:
        """Return the document of a key; None if there is none, or if it is damaged."""
        content = self._read(self._place(_RESULTS, key))
        if content is None:
            return None
        digest, _, document = content.partition(b"\n")
        if digest != hashlib.sha256(document).hexdigest().encode():
            self.forget_result(key)
            return None
        return document

    def write_result(self, key: str, document: bytes) -> None:
        """Store the document of a key, whose content is stored already.

        Raises:
            OSError: the disk is full, or the folder is gone.
        """
        digest = hashlib.sha256(document).hexdigest().encode()
        self._write(self._place(_RESULTS, key), digest + b"\n" + document)

    def forget_result(self, key: str) -> None:
        """Remove the document of a key."""
        with contextlib.suppress(OSError):
            self._place(_RESULTS, key).unlink()

    def read_blob(self, digest: Digest) -> bytes | None:
        """Return the content of a digest; None if it is missing or damaged."""
        path = self._place(_BLOBS, digest.hash)
        content = self._read(path)
        if content is not None and SHA256.of(content) != digest:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        return content

    def write_blob(self, digest: Digest, content: bytes) -> None:
        """Store content. Raises what `write_result` raises."""
        path = self._place(_BLOBS, digest.hash)
        if not _is_touched(path, digest.size):
            self._write(path, content)

    def close(self) -> None:
        """Remove what was used longest ago, if there is more than the limit."""
        if not self._has_grown:
            return
        files = sorted(self._files())
        total = sum(size for _, size, _ in files)
        if total <= self._limit:
            return
        for _, size, path in files:
            if total <= self._limit * _KEPT:
                return
            with contextlib.suppress(OSError):
                os.unlink(path)
                total -= size

    def _files(self) -> Iterator[tuple[float, int, str]]:
        """Yield when each file was used, its size and its path; remove unfinished ones."""
        for kind in (_RESULTS, _BLOBS, _NEW):
            for top, _, names in os.walk(self._root / kind):
                for path in (os.path.join(top, name) for name in names):
                    with contextlib.suppress(OSError):
                        seen = os.stat(path)
                        if kind != _NEW:
                            yield seen.st_mtime, seen.st_size, path
                        elif time.time() - seen.st_mtime > _ABANDONED:
                            os.unlink(path)

    def _place(self, kind: str, name: str) -> Path:
        return self._root / kind / name[:2] / name[2:]

    def _read(self, path: Path) -> bytes | None:
        try:
            content = path.read_bytes()
            os.utime(path)  # it was used now
        except OSError:
            return None
        return content

    def _write(self, path: Path, content: bytes) -> None:
        new = self._root / _NEW / f"{os.getpid()}-{id(self):x}-{next(self._serial)}"
        try:
            new.write_bytes(content)
            path.parent.mkdir(mode=0o700, exist_ok=True)
            new.replace(path)
        except OSError:
            new.unlink(missing_ok=True)
            raise
        with self._lock:
            self._has_grown = True


def _is_touched(path: Path, size: int) -> bool:
    """Return whether a file of this size is there; its time of use is now."""
    try:
        os.utime(path)
        return path.stat().st_size == size
    except OSError:
        return False
