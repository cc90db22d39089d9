"""Deleting whatever an action may leave behind, without ever being led elsewhere.

Every step goes through folder descriptors and follows no symlink. No mode, depth or name that a
process can make keeps a folder from being deleted, short of mounts and immutable files.
"""

from __future__ import annotations

import contextlib
import errno
import os

_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: How often a folder is emptied again because somebody still puts things into it.
_PATIENCE = 20
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})


def remove(path: str) -> None:
    """Deletes a file or a whole folder, whatever its modes; nothing there is fine."""
    parent, name = os.path.split(path)
    with contextlib.suppress(FileNotFoundError), opened(parent) as fd:
        remove_at(fd, name)


def remove_at(fd: int, name: str) -> None:
    """Deletes ``name`` in the folder open as ``fd``, like `remove`."""
    try:
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        return
    except (IsADirectoryError, PermissionError):  # Linux says the one, macOS the other
        _remove_folder(fd, name)


class opened:  # noqa: N801 - used as the function that contextlib would make of it, at twice the cost
    """A folder (no symlink to one) as a descriptor within the block.

    Raises:
        OSError: FileNotFoundError or NotADirectoryError when there is none.
    """

    __slots__ = ("_fd", "_name", "_parent")

    def __init__(self, name: str, parent: int | None = None) -> None:
        self._name = name
        self._parent = parent

    def __enter__(self) -> int:
        self._fd = _open_folder(self._name, self._parent)
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def _open_folder(name: str, parent: int | None) -> int:
    try:
        return os.open(name, _OPEN_FOLDER, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)
        return os.open(name, _OPEN_FOLDER, dir_fd=parent)
    except OSError as error:
        if error.errno == errno.ELOOP:  # how some systems call a symlink here
            raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), name) from None
        raise


def make_accessible(fd: int, mode: int = 0o700) -> None:
    """Gives us back a folder whose mode an action changed so that it can't be emptied."""
    if os.fstat(fd).st_mode & 0o700 != 0o700:
        os.fchmod(fd, mode)


def _remove_folder(fd: int, name: str) -> None:
    patience = _PATIENCE
    while True:
        with opened(name, fd) as folder:
            _empty(folder)
        try:
            os.rmdir(name, dir_fd=fd)
        except OSError as error:
            if error.errno not in _NOT_EMPTY or not patience:
                raise
            patience -= 1
        else:
            return


def _empty(top: int) -> None:
    # Folders are moved up here before they are emptied: then no depth, which a process can make far
    # greater than a path may be long, needs more stack or descriptors.
    prefix, moved = f".rpw-{os.urandom(16).hex()}-", 0
    pending = _unlink_files(top)
    while pending:
        current = pending.pop()
        with opened(current, top) as folder:
            for name in _unlink_files(folder):
                moved += 1
                pending.append(f"{prefix}{moved}")
                _move(folder, name, top, pending[-1])
        try:
            os.rmdir(current, dir_fd=top)
        except OSError as error:
            if error.errno not in _NOT_EMPTY:  # else the next round gets it
                raise


def _unlink_files(fd: int) -> list[str]:
    """Deletes all but the folders in a folder; the names of those."""
    make_accessible(fd)
    with os.scandir(fd) as entries:
        found = list(entries)
    for entry in found:
        if not entry.is_dir(follow_symlinks=False):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(entry.name, dir_fd=fd)
    return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]


def _move(source: int, name: str, target: int, new_name: str) -> None:
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    except PermissionError:  # a folder that is moved must be writable, for its ".."
        os.chmod(name, 0o700, dir_fd=source)
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
