"""Finding outputs in an input root that a process may still be changing.

Everything is reached from the root's descriptor. A symlink on the way to an output is read and followed
by us, never by the kernel, so that none leads out of the root, whatever it is swapped for meanwhile.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rpw_fixture.errors import Code, RequestError, failed_precondition
from rpw_fixture.support.beneath import FOLDER, open_beneath

_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Most symlinks followed on the way to one output; the kernel has the same limit.
_MOST_LINKS = 40
#: The path of the input root itself, in messages and errors.
ROOT = "."
#: Error numbers that mean: there is nothing at this path.
ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG})


class OutputsChangedError(RequestError):
    """Outputs changed while they were collected: a process of the action still works on them.

    Args:
        path: of the output; ROOT when it is the input root that was replaced.
    """

    def __init__(self, path: str) -> None:
        text = (
            f"output {path!r} was removed or replaced while it was collected, after the action had "
            "ended; an action must leave its outputs alone once it has answered"
        )
        if path == ROOT:
            text = "the action has put something else in the place of its input root"
        super().__init__(Code.FAILED_PRECONDITION, text)
        self.path = path


class OutsideError(Exception):
    """A symlink on the way to an output leads out of the input root."""


def open_output(folder: int, name: str, flags: int, path: str) -> int:
    """Open an output, or a part of one, that was listed in an open folder.

    Args:
        folder: descriptor of the folder.
        name: name in that folder.
        flags: as of os.open.
        path: path of the output, for messages.

    Raises:
        RequestError: FAILED_PRECONDITION when it can't be read or is a mount; `OutputsChangedError`
            when it is gone or has become a symlink.
    """
    try:
        return open_beneath(folder, name, flags)
    except PermissionError:
        raise failed_precondition(f"output {path!r} can't be read") from None
    except OSError as error:
        if error.errno == errno.EXDEV:
            raise mounted(path) from None
        if error.errno in {errno.ENOENT, errno.ENOTDIR, errno.ENXIO}:
            raise OutputsChangedError(path) from None
        raise


def mounted(path: str) -> RequestError:
    """Return the refusal of an output that lies on a mount."""
    what = "the input root" if path == ROOT else f"output {path!r}"
    return failed_precondition(
        f"{what} lies on a file system that the action mounted in the input root; "
        "outputs must be written to the input root itself"
    )


@dataclass(slots=True)
class _Descent:
    """A descent from a root folder along a path, one name at a time.

    Attributes:
        folders: descriptors of the folders entered so far, the root first.
        todo: names that are left of the path, the next one last.
        links: how many symlinks were followed.
        is_file: the path leads to something that is neither a folder nor a symlink.
    """

    folders: list[int]
    todo: list[str] = field(default_factory=list)
    links: int = 0
    is_file: bool = False

    def descend(self, root_path: str) -> bool:
        """Follow the path to its end; return False if there is no folder.

        Raises:
            OutsideError: a symlink leads out of the root.
        """
        while self.todo:
            name = self.todo.pop()
            if name == "..":
                if len(self.folders) == 1:
                    raise OutsideError
                os.close(self.folders.pop())
            elif name not in {"", "."} and not self._step(name, root_path):
                return False
        return True

    def close(self) -> None:
        """Close all descriptors."""
        while self.folders:
            os.close(self.folders.pop())

    def _step(self, name: str, root_path: str) -> bool:
        try:
            self.folders.append(open_beneath(self.folders[-1], name, _PASS))
        except NotADirectoryError:
            return self._follow(name, root_path)
        except OSError as error:
            if error.errno in ABSENT:
                return False
            raise
        return True

    def _follow(self, name: str, root_path: str) -> bool:
        """Put the target of the symlink ``name`` in front of the rest; return False if it is no symlink."""
        try:
            target = os.readlink(name, dir_fd=self.folders[-1])
        except OSError:
            self.is_file = not self.todo
            return False
        self.links += 1
        if self.links > _MOST_LINKS:
            return False
        if target.startswith("/"):
            if not f"{target}/".startswith(f"{root_path}/"):
                raise OutsideError
            target = target[len(root_path) :]
            for fd in self.folders[1:]:
                os.close(fd)
            del self.folders[1:]
        self.todo += reversed(target.split("/"))
        return True


@contextmanager
def found_folder(root: int, root_path: str, path: str) -> Iterator[int | None]:
    """Find the folder at ``path`` below an open root, through symlinks that stay in the root.

    Args:
        root: descriptor of the root.
        root_path: its path, for symlinks with absolute targets.
        path: relative to it; "." for the root itself.

    Yields:
        A descriptor that only paths below it can be opened from; None when there is no folder.

    Raises:
        OutsideError: a symlink leads out of the root.
        OSError: EXDEV when something is mounted on the way; PermissionError.
    """
    descent = _Descent([])
    try:
        descent.folders.append(open_beneath(root, path, _PASS))
        is_found: bool | None = True
    except NotADirectoryError:  # perhaps a symlink
        descent = _Descent([os.dup(root)], path.split("/")[::-1])
        is_found = None
    except OSError as error:
        if error.errno not in ABSENT:
            raise
        is_found = False
    try:
        if is_found is None:
            is_found = descent.descend(root_path)
        yield descent.folders[-1] if is_found else None
    finally:
        descent.close()


def kind_at(root: int, root_path: str, path: str) -> str:
    """Return "folder" or "file" for what a symlink leads to, "" if to nothing or out of the root."""
    descent = _Descent([os.dup(root)], path.split("/")[::-1])
    try:
        is_folder = descent.descend(root_path)
    except (OutsideError, OSError):
        return ""
    else:
        return "folder" if is_folder else "file" if descent.is_file else ""
    finally:
        descent.close()


def open_folder(folder: int, name: str, path: str) -> int:
    """Open a folder among outputs for reading, as `open_output` does."""
    return open_output(folder, name, FOLDER, path)
