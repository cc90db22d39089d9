"""Unix sockets to listen on: for one server at a time, and for its user only.

gRPC replaces another server's socket without a warning, and removes the path when it stops.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError

_CONNECT_SECONDS = 1.0
#: Only the owner gets permissions; folders that other threads make meanwhile stay usable.
_UMASK = 0o077
#: The whole process has one umask.
_UMASK_LOCK = threading.Lock()


@contextlib.contextmanager
def private(path: str) -> Iterator[None]:
    """Make a socket that is bound inside the block the only one there, and private to this user.

    The socket of a server that has ended is removed.

    Raises:
        EnvironmentLacksError: when another server listens there, the path is something else, or its
            folder can't be used.
    """
    try:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
    except OSError as error:
        raise EnvironmentLacksError(f"can't listen on unix:{path}: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # servers that start at the same time take turns
        _require_free(path)
        with _UMASK_LOCK:
            before = os.umask(_UMASK)
            try:
                yield
            finally:
                os.umask(before)
        with contextlib.suppress(FileNotFoundError):  # it could not be bound
            Path(path).chmod(0o600)
    finally:
        os.close(folder)


def _require_free(path: str) -> None:
    try:
        mode = Path(path).lstat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise EnvironmentLacksError(
            f"can't listen on unix:{path}: the path exists and is not a socket; choose another path"
        )
    if _is_live(path):
        raise EnvironmentLacksError(
            f"can't listen on unix:{path}: another server listens there; stop it or choose another path"
        )
    Path(path).unlink()


def _is_live(path: str) -> bool:
    """Return whether anything listens on a socket, even if its queue is full."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_CONNECT_SECONDS)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
