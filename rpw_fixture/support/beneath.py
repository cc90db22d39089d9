"""Opening paths beneath a folder of the server, never through a symlink and never across a mount.

Everything below a folder that a worker can write may be replaced at any time: by a symlink to the user's
home, a bind mount of it, a fifo. So nothing there is opened by its whole path. One folder above all of
that is held open (`OwnFolder`), and every step down from it starts at a descriptor, with openat2 where the
kernel has it (Linux 5.6), otherwise name by name.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass

from rpw_fixture.support.closing import Closeable

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
#: Whether folders can be opened only to traverse or inspect them (O_PATH).
_HAS_PATH_ONLY = hasattr(os, "O_PATH")
_PASS = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_OPENAT2 = 437  # the same number on every architecture that Python is built for, but Alpha
#: RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH (openat2.h).
_RESOLVE = 0x01 | 0x02 | 0x04 | 0x08
_HOW = struct.Struct("QQQ")
#: How often a lookup is repeated that a concurrent rename or a signal interrupted.
_ATTEMPTS = 1000
_AGAIN = frozenset({errno.EAGAIN, errno.EINTR})

_Open = Callable[[int, str, int], int]


def open_beneath(parent: int, path: str, flags: int) -> int:
    """Open ``path`` below the folder open as ``parent``; return the descriptor.

    Args:
        parent: descriptor of a folder.
        path: relative, without ``..``.
        flags: of os.open; nothing can be created.

    Raises:
        OSError: NotADirectoryError for a symlink on the way; EXDEV for a mount; otherwise as os.open.
    """
    return _implementation.opening(parent, path, flags)


class opened:  # noqa: N801 - replaces a contextlib function, which costs twice the time
    """The descriptor of a folder below an open one, within a block; made accessible if necessary.

    Args:
        path: relative to ``parent``, without ``..``.
        parent: descriptor of a folder.

    Raises:
        OSError: as `open_beneath`.
    """

    __slots__ = ("_fd", "_parent", "_path")

    def __init__(self, path: str, parent: int) -> None:
        self._path = path
        self._parent = parent

    def __enter__(self) -> int:
        try:
            self._fd = _implementation.opening(self._parent, self._path, FOLDER)
        except PermissionError:
            permit(self._parent, self._path)
            self._fd = _implementation.opening(self._parent, self._path, FOLDER)
        return self._fd

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)


def permit(parent: int, path: str) -> None:
    """Give the owner all permissions on each folder of ``path``, where some are missing.

    Raises:
        OSError: as `open_beneath`; PermissionError for a folder of another user.
    """
    here = os.dup(parent)
    try:
        for name in path.split("/"):
            if not _HAS_PATH_ONLY:  # macOS, which can change the mode of a link instead
                os.chmod(name, 0o700, dir_fd=here, follow_symlinks=False)
            below = open_beneath(here, name, _PASS)
            os.close(here)
            here = below
            if os.fstat(here).st_mode & 0o700 != 0o700:
                os.chmod(f"/proc/self/fd/{here}", 0o700)
    finally:
        os.close(here)


def path_of(fd: int) -> str:
    """Return the present path of an open file, or "" if it is unknown."""
    try:
        return os.readlink(f"/proc/self/fd/{fd}")
    except OSError:
        return ""


def mount_of(fd: int) -> int:
    """Return the number of the mount that holds an open file; equal numbers mean the same mount.

    Two mounts of one file system have different numbers on Linux. Elsewhere it is the device number.
    """
    try:
        info = os.open(f"/proc/self/fdinfo/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return os.fstat(fd).st_dev
    try:
        _, _, number = os.read(info, 4096).partition(b"mnt_id:")
    finally:
        os.close(info)
    return int(number.split(maxsplit=1)[0])


def open_step_by_step(parent: int, path: str, flags: int) -> int:
    """Do the same as `open_beneath` where the kernel has no openat2."""
    *above, name = [each for each in path.split("/") if each not in {"", "."}] or ["."]
    here, mount = os.dup(parent), mount_of(parent)
    try:
        for each in above:
            here = _step(here, each, _PASS, mount)
        here = _step(here, name, flags | os.O_NOFOLLOW, mount)
    except BaseException:
        os.close(here)
        raise
    return here


def _step(here: int, name: str, flags: int, mount: int) -> int:
    """Open ``name`` in the folder ``here``; close ``here`` on success."""
    if name == "..":
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    try:
        below = os.open(name, flags, dir_fd=here)
    except OSError as error:
        raise _error(error.errno or 0, name) from None
    if mount_of(below) != mount:
        os.close(below)
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), name)
    os.close(here)
    return below


def _error(code: int, path: str) -> OSError:
    """Return the error for a failed step; the code for symlinks is the same on all systems."""
    code = errno.ENOTDIR if code == errno.ELOOP else code
    return OSError(code, os.strerror(code), path)


def _find_openat2() -> _Open:
    """Return `open_beneath` by openat2, or step by step where that is missing or forbidden."""
    if sys.platform != "linux":
        return open_step_by_step
    try:
        import ctypes  # noqa: PLC0415 - costs milliseconds, which servers without actions save
    except ImportError:  # a Python that was built without libffi
        return open_step_by_step

    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    syscall.argtypes = (
        ctypes.c_long, ctypes.c_int, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t
    )  # fmt: skip
    get_errno, encode, size = ctypes.get_errno, os.fsencode, _HOW.size
    hows: dict[int, bytes] = {}

    def by_openat2(parent: int, path: str, flags: int) -> int:
        how = hows.get(flags)
        if how is None:
            how = hows[flags] = _HOW.pack(flags, 0, _RESOLVE)
        name = encode(path)
        if b"\0" in name:
            raise ValueError("embedded null byte")
        for _ in range(_ATTEMPTS):
            fd = syscall(_OPENAT2, parent, name, how, size)
            if fd >= 0:
                return int(fd)
            if get_errno() not in _AGAIN:
                break
        raise _error(get_errno(), path)

    here = os.open("/", FOLDER)
    try:
        os.close(by_openat2(here, ".", FOLDER))
    except OSError:  # an old kernel, or a container whose seccomp filter knows an old kernel only
        return open_step_by_step
    finally:
        os.close(here)
    return by_openat2


class _Implementation:
    """The implementation for this system, chosen when something is opened for the first time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.opening: _Open = self._find

    def _find(self, parent: int, path: str, flags: int) -> int:
        with self._lock:
            if self.opening == self._find:
                self.opening = _find_openat2()
            opening = self.opening
        return opening(parent, path, flags)


_implementation = _Implementation()


class OwnFolder(Closeable):
    """A folder of the server that is held open, so that nothing beneath it is opened by a whole path.

    Args:
        path: absolute path of an existing folder. No symlink may be placed on it later.

    Raises:
        OSError: when the folder does not exist.
    """

    __slots__ = ("fd", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.fd = os.open(path, FOLDER)

    def close(self) -> None:
        """Close the folder; nothing beneath it can be opened afterwards."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def at(self, name: str) -> Beneath:
        """Return the path ``name`` relative to the folder; it need not exist."""
        return Beneath(self, name)


@dataclass(frozen=True, slots=True)
class Beneath:
    """A path beneath a folder of the server.

    Attributes:
        own: that folder.
        name: the path relative to it.
    """

    own: OwnFolder
    name: str

    @property
    def path(self) -> str:
        """The absolute path, for processes and messages."""
        return f"{self.own.path}/{self.name}"

    def below(self, name: str) -> Beneath:
        """Return the path ``name`` below this path."""
        return Beneath(self.own, f"{self.name}/{name}" if name else self.name)

    def opened(self) -> opened:
        """Return a context manager that opens the folder (see `opened`)."""
        return opened(self.name, self.own.fd)

    def make(self, mode: int = 0o755) -> None:
        """Make the folder, and missing folders above it.

        Raises:
            OSError: FileExistsError when it exists; NotADirectoryError when a part of the path is not a
                folder.
        """
        *above, last = self.name.split("/")
        here = os.dup(self.own.fd)
        try:
            for name in above:
                here = _made(here, name)
            os.mkdir(last, mode, dir_fd=here)
        finally:
            os.close(here)

    def split(self) -> tuple[Beneath, str]:
        """Return the parent folder, and the name in it."""
        above, _, name = self.name.rpartition("/")
        return Beneath(self.own, above or "."), name


def _made(here: int, name: str) -> int:
    """Open the folder ``name`` in ``here``, made if missing; close ``here`` on success."""
    try:
        below = open_beneath(here, name, FOLDER)
    except FileNotFoundError:
        os.mkdir(name, 0o755, dir_fd=here)
        below = open_beneath(here, name, FOLDER)
    os.close(here)
    return below
