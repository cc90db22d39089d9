"""Deleting everything that an action may leave, and nothing outside of its folder.

Every step uses folder descriptors, follows no symlink and enters no mount. Folders are deleted whatever
their mode, depth or name. What can't be deleted (a mount that can't be unmounted, an immutable file, a file
of another user) remains, with the folders above it, and is reported; everything else is deleted.
"""

from __future__ import annotations

import errno
import logging
import os
import shlex
import threading
from collections.abc import Iterable
from typing import NamedTuple

from rpw_fixture.support.beneath import FOLDER, Beneath, opened, path_of, permit
from rpw_fixture.support.mounts import unmount

#: How often a folder is emptied again because a process still writes into it.
_PATIENCE = 20
#: Folders deeper than this are moved up before they are emptied: a process can nest folders deeper than
#: the stack, the number of descriptors and the length of a path allow.
_DEEPEST = 24
_NOT_EMPTY = frozenset({errno.ENOTEMPTY, errno.EEXIST})
_MOUNTED = frozenset({errno.EXDEV, errno.EBUSY})
_REFUSED = frozenset({errno.EPERM, errno.EACCES, errno.EROFS}) | _MOUNTED
#: The most unmounts in one removal, because an action may keep mounting.
_MOST_UNMOUNTED = 500
#: The most leftovers of one folder that are reported one by one.
_SHOWN = 10
_log = logging.getLogger(__name__)


class Leftover(NamedTuple):
    """A leftover of an action that remains, or a mount that was unmounted.

    Attributes:
        path: absolute path.
        reason: why it is reported.
        is_left: it still exists.
        is_mount: it is, or was, a mount point.
    """

    path: str
    reason: str
    is_left: bool = True
    is_mount: bool = False


def remove(path: str) -> list[Leftover]:
    """Delete a file or a whole folder, whatever its modes; do nothing if it does not exist.

    Args:
        path: a path in a folder that no action can write.

    Returns:
        Everything that can't be deleted, and everything that was unmounted.

    Raises:
        OSError: the disk is broken.
    """
    parent, name = os.path.split(path)
    try:
        fd = os.open(parent, FOLDER)
    except FileNotFoundError:
        return []
    try:
        return remove_at(fd, name)
    finally:
        os.close(fd)


def remove_at(fd: int, name: str) -> list[Leftover]:
    """Delete ``name`` in the folder open as ``fd``, like `remove`."""
    try:
        os.unlink(name, dir_fd=fd)
    except FileNotFoundError:
        pass
    except OSError as error:
        # A folder: Linux calls that IsADirectoryError, macOS PermissionError.
        if not isinstance(error, IsADirectoryError) and error.errno not in _REFUSED:
            raise
        removal = _Removal()
        removal.remove(fd, name)
        return removal.leftovers
    return []


def discard(place: Beneath | str) -> None:
    """Delete a file or folder; log what can't be deleted, and never raise."""
    path = place if isinstance(place, str) else place.path
    try:
        if isinstance(place, str):
            leftovers = remove(place)
        else:
            folder, name = place.split()
            with folder.opened() as fd:
                leftovers = remove_at(fd, name)
    except FileNotFoundError:
        return
    except OSError as error:
        leftovers = [Leftover(path, str(error))]
    report(leftovers, path)


def make_new(place: Beneath) -> None:
    """Make a new folder; delete what an earlier action put in its place.

    Raises:
        OSError: FileExistsError when that can't be deleted.
    """
    try:
        place.make()
    except FileExistsError:
        discard(place)
        place.make()


class _Reported:
    """The leftovers that were logged already: each is logged once."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paths: set[str] = set()

    def new(self, leftovers: Iterable[Leftover]) -> list[Leftover]:
        """Return the leftovers that were not logged yet; mounts that were unmounted may be logged again."""
        with self._lock:
            found = [each for each in leftovers if each.path not in self._paths]
            self._paths.update(each.path for each in found if each.is_left)
        return found


_reported = _Reported()


def report(leftovers: list[Leftover], folder: str) -> None:
    """Log what could not be deleted in ``folder``, each once, and the command that deletes it."""
    found = _reported.new(leftovers) if leftovers else []
    left = [each for each in found if each.is_left]
    for each in [each for each in found if not each.is_left][:_SHOWN]:
        _log.warning("%s: %s", each.path, each.reason)
    for each in left[:_SHOWN]:
        _log.warning("%s can't be removed: %s; it remains there", each.path, each.reason)
    if len(left) > _SHOWN:
        _log.warning("%d more in %s can't be removed", len(left) - _SHOWN, folder)
    if left:
        _log.warning("Fix: to remove the rest of %s, run: %s", folder, _command(left, folder))


def _command(left: list[Leftover], folder: str) -> str:
    """Return the shell command that deletes the leftovers, for a user with root privileges."""
    steps = [f"sudo umount -l {shlex.quote(each.path)}" for each in left if each.is_mount]
    if any(not each.is_mount for each in left):
        steps.append(f"sudo chattr -R -f -i -a {shlex.quote(folder)}")
    return "; ".join([*steps, f"sudo rm -rf --one-file-system {shlex.quote(folder)}"])


def make_accessible(fd: int, mode: int = 0o700) -> None:
    """Restore the permissions of a folder that an action changed so that it can't be emptied."""
    if os.fstat(fd).st_mode & 0o700 != 0o700:
        os.fchmod(fd, mode)


class _Removal:
    """The deletion of one folder."""

    def __init__(self) -> None:
        self.leftovers: list[Leftover] = []
        self._prefix = f".rpw-{os.urandom(16).hex()}-"
        self._moved = 0
        self._top = -1
        self._pending: list[str] = []

    def remove(self, fd: int, name: str) -> None:
        """Delete ``name``, a folder or something that can't be unlinked."""
        patience = _PATIENCE
        while not self._try(fd, name, 0):
            if any(each.is_left for each in self.leftovers):
                return
            if not patience:
                self._keep(fd, name, "something still writes into it")
                return
            patience -= 1

    def _try(self, fd: int, name: str, depth: int) -> bool:
        """Delete ``name``; return False if it is not empty, or remains for a reason in `leftovers`."""
        try:
            with opened(name, fd) as folder:
                self._empty(folder, depth)
            os.rmdir(name, dir_fd=fd)
        except FileNotFoundError:
            return True
        except NotADirectoryError:
            return self._unlink(fd, name)
        except OSError as error:
            if error.errno in _NOT_EMPTY:
                return False
            return self._refused(fd, name, error) and self._try(fd, name, depth)
        return True

    def _unlink(self, fd: int, name: str) -> bool:
        try:
            os.unlink(name, dir_fd=fd)
        except FileNotFoundError:
            return True
        except IsADirectoryError:  # it was not, a moment ago
            return False
        except OSError as error:
            return self._refused(fd, name, error) and self._unlink(fd, name)
        return True

    def _refused(self, fd: int, name: str, error: OSError) -> bool:
        """Return whether another try can succeed, because a mount there was unmounted."""
        if error.errno not in _REFUSED:
            raise error
        if error.errno not in _MOUNTED:
            self._keep(fd, name, error.strerror or "")
            return False
        if len(self.leftovers) < _MOST_UNMOUNTED and unmount(fd, name):
            reason = (
                "an action had mounted something there; it is unmounted, and none of it removed"
            )
            self.leftovers.append(Leftover(_full(fd, name), reason, is_left=False, is_mount=True))
            return True
        self._keep(fd, name, "something is mounted there that can't be unmounted", is_mount=True)
        return False

    def _keep(self, fd: int, name: str, reason: str, *, is_mount: bool = False) -> None:
        self.leftovers.append(Leftover(_full(fd, name), reason, is_mount=is_mount))

    def _empty(self, folder: int, depth: int) -> None:
        make_accessible(folder)
        below = self._unlink_files(folder)
        if depth == 0:
            self._top = folder
        for name in below:
            if depth < _DEEPEST:
                self._try(folder, name, depth + 1)
            else:
                self._lift(folder, name)
        while depth == 0 and self._pending:
            self._try(folder, self._pending.pop(), 1)

    def _unlink_files(self, fd: int) -> list[str]:
        """Delete everything in a folder except folders; return the names of the folders."""
        with os.scandir(fd) as entries:
            found = list(entries)
        for entry in found:
            if not entry.is_dir(follow_symlinks=False):
                self._unlink(fd, entry.name)
        return [entry.name for entry in found if entry.is_dir(follow_symlinks=False)]

    def _lift(self, source: int, name: str) -> None:
        """Move a folder up to the top folder, to be emptied there."""
        self._moved += 1
        new_name = f"{self._prefix}{self._moved}"
        try:
            _move(source, name, self._top, new_name)
        except FileNotFoundError:
            return
        except OSError as error:
            if self._refused(source, name, error):
                self._lift(source, name)
            return
        self._pending.append(new_name)


def _move(source: int, name: str, target: int, new_name: str) -> None:
    try:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    except PermissionError:  # a folder that is moved must be writable, for its ".."
        permit(source, name)
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)


def _full(fd: int, name: str) -> str:
    return os.path.join(path_of(fd), name)
