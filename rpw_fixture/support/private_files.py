"""Files and folders that only their owner can read, whatever the umask is."""

from __future__ import annotations

import errno
import os
from pathlib import Path

_FOLDER, _FILE = 0o700, 0o600


def make_private_folder(folder: Path) -> Path:
    """Make a folder and the missing folders above it; existing ones are not changed.

    Returns:
        The folder.
    """
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    for each in reversed(missing):
        try:
            each.mkdir(_FOLDER)
        except FileExistsError:  # another process was faster
            if not each.is_dir():
                raise
        else:
            each.chmod(_FOLDER)
    if not folder.is_dir():
        raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
    return folder


def private_opener(path: str, flags: int) -> int:
    """Open a file for `open(…, opener=private_opener)`; an existing file keeps its permissions."""
    try:
        fd = os.open(path, flags | os.O_EXCL | os.O_CLOEXEC, _FILE)
    except FileExistsError:
        return os.open(path, flags | os.O_CLOEXEC, _FILE)
    os.fchmod(fd, _FILE)
    return fd
