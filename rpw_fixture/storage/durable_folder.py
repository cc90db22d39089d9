"""Folders that outlive the server: a lock, complete files, and whether the machine may have crashed.

The content of the files does not matter here.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.storage.files import full_disk_named, remove
from rpw_fixture.support.private_files import make_private_folder, private_opener

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class DurableFolder:
    """A folder that one server at a time uses.

    A file is published by renaming it when it is complete, so killing the server leaves no partial
    file. Only a crash of the machine can, because nothing is flushed.

    Args:
        folder: created if it does not exist; files in its subfolder ``tmp`` are deleted.

    Attributes:
        folder: the same.
        is_suspect: whether the machine may have crashed since the folder was last used.

    Raises:
        EnvironmentLacksError: when another server uses the folder.
    """

    def __init__(self, folder: Path) -> None:
        make_private_folder(folder)
        self.folder = folder
        self._lock_fd = _lock(folder / "lock")
        self.is_suspect = self._has_rebooted()
        for leftover in os.scandir(make_private_folder(folder / "tmp")):
            remove(leftover.path)

    def publish(self, temporary: str, *name: str) -> str:
        """Rename a complete file to ``name`` (folders and file name); return the new path."""
        path = self.folder.joinpath(*name)
        with full_disk_named(str(path)):
            try:
                Path(temporary).rename(path)
            except FileNotFoundError:  # the first file in that folder
                make_private_folder(path.parent)
                Path(temporary).rename(path)
        return str(path)

    def published(self, *name: str) -> list[os.DirEntry[str]]:
        """Return the published files below a folder, the oldest first."""
        found = list(_files_below(str(self.folder.joinpath(*name))))
        return sorted(found, key=lambda entry: entry.stat().st_mtime_ns)

    def close(self) -> None:
        """Unlock the folder, so that another server can use it."""
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _has_rebooted(self) -> bool:
        """Return whether the machine may have crashed since the folder was last used."""
        try:
            now = _BOOT_ID.read_text(encoding="ascii")
        except OSError:  # not Linux: assume that it may
            now = ""
        mark = self.folder / "boot_id"
        try:
            before = mark.read_text(encoding="ascii")
        except OSError:
            before = ""
        with open(mark, "w", encoding="ascii", opener=private_opener) as file:
            file.write(now)
        return not now or now != before


def _lock(path: Path) -> int:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise EnvironmentLacksError(
            f"another server uses {path.parent}; stop that server, or choose another --root"
        ) from None
    return fd


def _files_below(folder: str) -> Iterator[os.DirEntry[str]]:
    with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                yield from _files_below(entry.path)
            elif entry.is_file(follow_symlinks=False):
                yield entry
