"""Unix sockets to listen on: one server at a time, and only for its user.

gRPC takes the path of another server's socket without asking, and removes it when it stops.
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

_PATIENCE = 1.0
#: Nobody but the owner; folders that other threads make meanwhile stay usable.
_UMASK = 0o077
#: The umask is one for the whole process.
_UMASK_LOCK = threading.Lock()


@contextlib.contextmanager
def private(path: str) -> Iterator[None]:
    """Have the socket that is bound in the block be the only one there, and closed to other users.

    A socket that a dead server left is removed.

    Raises:
        EnvironmentLacksError: when a server listens there, something else has the name, or the
            folder can't be used.
    """
    try:
        folder = os.open(os.path.dirname(path), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)  # noqa: PTH120
    except OSError as error:
        raise EnvironmentLacksError(f"can't listen on unix:{path}: {error.strerror}") from None
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)  # servers that start at the same time go one by one
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
            f"can't listen on unix:{path}: there is something else of that name; choose another path"
        )
    if _is_live(path):
        raise EnvironmentLacksError(
            f"can't listen on unix:{path}: another server listens there; stop it or choose another path"
        )
    Path(path).unlink()


def _is_live(path: str) -> bool:
    """Whether anything accepts connections on a socket; a full queue of them counts as well."""
    with socket.socket(socket.AF_UNIX) as probe:
        probe.settimeout(_PATIENCE)
        try:
            probe.connect(path)
        except (ConnectionRefusedError, FileNotFoundError):
            return False
        except OSError:
            return True
    return True
