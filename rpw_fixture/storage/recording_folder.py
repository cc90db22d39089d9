"""The folder of a recording: ``actions.jsonl``, the content of inputs by digest, and reasons for gaps.

Several processes may write to one folder at the same time.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.support.private_files import make_private_folder, private_opener

#: One JSON object a line: recorded actions; reasons for actions that are not recorded.
ACTIONS_FILE, UNRECORDED_FILE = "actions.jsonl", "unrecorded.jsonl"
BLOBS_FOLDER = "blobs"


class RecordingFolder:
    """Writes a recording. Thread-safe.

    Args:
        folder: made when it is not there; a recording that is there is continued.
        option: what the user wrote to get a recording, for messages.

    Raises:
        EnvironmentLacksError: when it can't be written.
    """

    def __init__(self, folder: Path, option: str) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._given_reasons: set[str] = set()
        try:
            make_private_folder(folder / BLOBS_FOLDER)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._fd = private_opener(str(folder / ACTIONS_FILE), flags)
        except OSError as error:
            raise EnvironmentLacksError(f"{option} {folder}: {error.strerror}") from None

    def add(self, action: Mapping[str, object]) -> None:
        """Append an action.

        Raises:
            OSError: when the disk is full.
        """
        with self._lock:
            _append(self._fd, action)

    def explain_gap(self, reason: str) -> None:
        """Note why an action was not recorded; each reason is written once.

        Raises:
            OSError: when the disk is full.
        """
        with self._lock:
            if reason in self._given_reasons:
                return
            self._given_reasons.add(reason)
            fd = private_opener(
                str(self.folder / UNRECORDED_FILE), os.O_WRONLY | os.O_CREAT | os.O_APPEND
            )
            try:
                _append(fd, {"reason": reason})
            finally:
                os.close(fd)

    def keep(self, digest: str, read: Callable[[], bytes]) -> None:
        """Keep a blob, whose content ``read`` returns; it is called only if the blob is not there yet.

        Raises:
            OSError: when the disk is full.
            ValueError: when ``digest`` is not ``hash/size``.
        """
        path = blob_path(self.folder, digest)
        if path.exists():
            return
        make_private_folder(path.parent)
        partial = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}")
        with open(partial, "wb", opener=private_opener) as file:
            file.write(read())
        partial.replace(path)

    def adopt(self, digest: str, partial: Path) -> None:
        """Keep a file of this folder as a blob.

        Raises:
            OSError: when it can't be moved.
        """
        path = blob_path(self.folder, digest)
        if path.exists():
            partial.unlink()
        else:
            make_private_folder(path.parent)
            partial.replace(path)

    def close(self) -> None:
        """End the recording."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1


def blob_path(folder: Path, digest: str) -> Path:
    """Return where a recording keeps a blob.

    Raises:
        ValueError: when ``digest`` is not ``hash/size``.
    """
    hash_, _, size = digest.partition("/")
    if not hash_.isalnum() or not size.isdigit():
        raise ValueError(f"{digest!r} is not a digest")
    return folder / BLOBS_FOLDER / hash_[:2] / f"{hash_}-{size}"


def reasons_for_gaps(folder: Path) -> tuple[str, ...]:
    """Return why actions are missing in a recording, each reason once; lines cut short are left out."""
    found: dict[str, None] = {}
    lines: Iterable[str] = ()
    with suppress(OSError, UnicodeDecodeError):
        lines = (folder / UNRECORDED_FILE).read_text(encoding="utf-8").splitlines()
    for line in lines:
        with suppress(ValueError, KeyError, TypeError):
            found[str(json.loads(line)["reason"])] = None
    return tuple(found)


def _append(fd: int, record: Mapping[str, object]) -> None:
    """Write a line at once, so that lines of several processes don't mix."""
    data = (json.dumps(record, ensure_ascii=False) + "\n").encode(errors="surrogateescape")
    while data:
        data = data[os.write(fd, data) :]
