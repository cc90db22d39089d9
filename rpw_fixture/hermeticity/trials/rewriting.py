"""Rewriting inputs in place: a new content, but the same inode.

A cache that takes inode, size and time for the identity of a file is wrong then, on every file system:
some give the inode of a deleted file to the next one, others (RAM disks) never do.
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import shutil
import stat
from collections.abc import Iterator

from rpw_fixture.hermeticity.trials.run_folder import RunFolder
from rpw_fixture.support.beneath import FOLDER, open_beneath
from rpw_fixture.support.removal import discard
from rpw_fixture.wire.trees import FileEntry, Folder

_KEPT = "inodes"


@contextlib.contextmanager
def kept_inodes(run_folder: RunFolder, root: Folder, *, enabled: bool) -> Iterator[None]:
    """Let the files of an input root keep their inodes, whatever is staged within the block.

    Args:
        run_folder: the folders of the trial.
        root: the inputs that are staged within the block.
        enabled: False to do nothing.
    """
    if not enabled:
        yield
        return
    kept = run_folder.folder.below(_KEPT)
    discard(kept)
    kept.make()
    try:
        with run_folder.input_root.opened() as top, kept.opened() as links:
            paths = [path for path, entry in root.walk() if isinstance(entry, FileEntry)]
            linked = [path for path in paths if _link(top, path, links)]
            yield
            for path in linked:
                _put_back(top, path, links)
    finally:
        discard(kept)


def _name(path: str) -> str:
    return path.replace("/", "\\")


def _link(top: int, path: str, links: int) -> bool:
    """Give a file another name outside of the input root; return False if there is no such file."""
    with contextlib.suppress(OSError), _parent(top, path) as (folder, name):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        # A worker may have put another name of a foreign file there, which must not be written to.
        if stat.S_ISREG(found.st_mode) and found.st_nlink == 1:
            os.link(name, _name(path), src_dir_fd=folder, dst_dir_fd=links, follow_symlinks=False)
            return True
    return False


def _put_back(top: int, path: str, links: int) -> None:
    """Move the old inode to where a new file is, with the content, mode and times of that."""
    link = _name(path)
    with contextlib.suppress(OSError), _parent(top, path) as (folder, name):
        new = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            now = os.fstat(new)
            if now.st_ino == os.stat(link, dir_fd=links, follow_symlinks=False).st_ino:
                return
            os.chmod(link, 0o600, dir_fd=links)
            flags = os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
            with (
                open(os.open(link, flags, dir_fd=links), "wb") as old,
                open(new, "rb", closefd=False) as source,
            ):
                shutil.copyfileobj(source, old)
                old.flush()
                os.fchmod(old.fileno(), stat.S_IMODE(now.st_mode))
                os.utime(old.fileno(), ns=(now.st_atime_ns, now.st_mtime_ns))
            os.rename(link, name, src_dir_fd=links, dst_dir_fd=folder)
        finally:
            os.close(new)


@contextlib.contextmanager
def _parent(top: int, path: str) -> Iterator[tuple[int, str]]:
    above, name = posixpath.split(path)
    folder = open_beneath(top, above or ".", FOLDER)
    try:
        yield folder, name
    finally:
        os.close(folder)
