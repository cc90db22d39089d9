"""Files with blobs: unique names, complete writes, copies, and one error for a full disk.

Budgets are elsewhere. The code that makes a file removes it when writing it fails.
"""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture.errors import resource_exhausted
from rpw_fixture.support.private_files import make_private_folder
from rpw_fixture.wire.digests import Digest, DigestFunction

#: Bytes to read or write at a time, and the size of ByteStream messages: 1 MiB gives the highest
#: throughput of gRPC in Python, and is far below the 4 MiB that most clients accept.
CHUNK_BYTES = 1 << 20
_NO_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
#: Opens a new file for writing; FileExistsError when the name exists, even as a dangling symlink.
CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CAN_COPY_RANGE = hasattr(os, "copy_file_range")
#: Changes when another process writes to a file: inode, size, mtime and ctime.
FileState = tuple[int, int, int, int]


def state_of(file: str | int) -> FileState:
    """Return the state of a file, given by its path or an open descriptor."""
    found = os.stat(file)  # noqa: PTH116 - a descriptor as well
    return found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


class TemporaryFiles:
    """Makes new empty files with unique names in one folder.

    Args:
        folder: created if it does not exist.
    """

    def __init__(self, folder: Path) -> None:
        make_private_folder(folder)
        self._prefix = f"{folder}/{os.getpid()}-"
        self._serial = itertools.count(1)

    def create(self) -> tuple[int, str]:
        """Open a new file for writing; return its descriptor and its path.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when the disk is full.
        """
        path = f"{self._prefix}{next(self._serial)}"
        with full_disk_named(path):
            return os.open(path, CREATE, 0o600), path

    def write(self, data: bytes) -> str:
        """Write ``data`` to a new file; return its path.

        Raises:
            RequestError: RESOURCE_EXHAUSTED when the disk is full.
        """
        fd, path = self.create()
        try:
            write_all(fd, data)
        except BaseException:
            remove(path)
            raise
        finally:
            os.close(fd)
        return path


@contextlib.contextmanager
def full_disk_named(what: str) -> Iterator[None]:
    """Turn the error of a full disk into RESOURCE_EXHAUSTED; ``what`` could not be written."""
    try:
        yield
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise resource_exhausted(
                f"no space left to write {what} ({error.strerror}); free disk space"
            ) from error
        raise


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of ``data``, in as many calls as needed.

    Raises:
        RequestError: RESOURCE_EXHAUSTED when the disk is full.
    """
    try:
        written = os.write(fd, data)
        if written < len(data):
            rest = memoryview(data)[written:]
            while rest:
                rest = rest[os.write(fd, rest) :]
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise resource_exhausted(
                f"no space left to write {len(data)} bytes to {_path_of(fd)} ({error.strerror}); "
                "free disk space"
            ) from error
        raise


def remove(path: str) -> None:
    """Delete a file, if it exists."""
    Path(path).unlink(missing_ok=True)


def read_from(fd: int, offset: int, limit: int, chunk: int = CHUNK_BYTES) -> Iterator[bytes]:
    """Yield ``limit`` bytes of an open file from ``offset`` on, in pieces of at most ``chunk`` bytes."""
    end = offset + limit
    while offset < end:
        piece = os.pread(fd, min(chunk, end - offset), offset)
        if not piece:
            return
        offset += len(piece)
        yield piece


def hash_of(fd: int, function: DigestFunction) -> Digest:
    """Return the digest of an open file's content."""
    hasher, size = function.new(), 0
    for piece in read_from(fd, 0, os.fstat(fd).st_size, CHUNK_BYTES):
        hasher.update(piece)
        size += len(piece)
    return Digest(hasher.hexdigest(), size)


def finish_file(fd: int, mode: int, mtime_ns: int | None) -> os.stat_result:
    """Give an open new file exactly these permission bits, regardless of the umask.

    Args:
        mtime_ns: modification time to set, nanoseconds since the epoch; None to leave it.

    Returns:
        The file's state after that.
    """
    if mtime_ns is not None:
        os.utime(fd, ns=(mtime_ns, mtime_ns))
    found = os.fstat(fd)
    if stat.S_IMODE(found.st_mode) != mode:
        os.fchmod(fd, mode)
        found = os.fstat(fd)
    return found


def copy_all(source: int, target: int, size: int) -> None:
    """Copy ``size`` bytes between open files, inside the kernel where possible.

    Raises:
        RequestError: RESOURCE_EXHAUSTED when the disk is full.
    """
    with full_disk_named(f"{size} bytes"):
        copied = _copy_in_kernel(source, target, size) if _CAN_COPY_RANGE else 0
        for piece in read_from(source, copied, size - copied):
            write_all(target, piece)


def _path_of(fd: int) -> str:
    try:
        return str(Path(f"/proc/self/fd/{fd}").readlink())
    except OSError:  # not Linux
        return "the CAS"


def _copy_in_kernel(source: int, target: int, size: int) -> int:
    copied = 0
    while copied < size:
        try:
            step = os.copy_file_range(source, target, size - copied, copied, copied)
        except OSError as error:
            if error.errno in _NO_SPACE:
                raise
            step = 0  # such as EXDEV on old kernels: the caller copies the rest through memory
        if not step:
            break
        copied += step
    if copied:
        os.lseek(target, copied, os.SEEK_SET)
    return copied
