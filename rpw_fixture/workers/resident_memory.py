"""The resident memory of a worker, for the limit ``--worker-max-rss``."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys

_log = logging.getLogger(__name__)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and its descendants, bytes; 0 when it is gone.

    Memory that they share counts once for each of them, so the sum is slightly too high for a launcher
    with one child. Some systems forbid reading it (macOS for programs of another user, hardened kernels
    for all); a warning is logged once, because no limit can be enforced then.
    """
    import psutil  # noqa: PLC0415 - only servers with a memory budget need it

    total = 0
    try:
        process = psutil.Process(pid)
        for each in (process, *process.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):  # gone meanwhile
                total += int(each.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
    except (psutil.Error, OSError, NotImplementedError) as error:
        _warn_once(type(error).__name__)
    return total


@functools.cache
def _warn_once(reason: str) -> None:
    """Log once that the memory limit is not enforced."""
    _log.warning(
        "--worker-max-rss has no effect: the memory of workers can't be read on this system "
        "(%s: %s). Fix: limit the worker itself, such as with a JVM's -Xmx, or use "
        "--worker-max-requests",
        sys.platform,
        reason,
    )
