"""How much memory a worker uses."""

from __future__ import annotations

import contextlib
import functools
import logging
import sys

_log = logging.getLogger(__name__)


def resident_bytes(pid: int) -> int:
    """Return the resident memory of a process and its descendants, 0 when it is gone.

    Memory that they share counts once for each of them, so a launcher with one child says a little
    too much. Where the system does not let this process read it (macOS refuses for programs of another
    user, and some hardened kernels for all), that is reported once, because no limit can be kept then.
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
        _report(type(error).__name__)
    return total


@functools.cache
def _report(reason: str) -> None:
    """Say once that no memory limit is kept."""
    _log.warning(
        "--worker-max-rss can't be kept: the memory of workers can't be read here (%s: %s). "
        "Limit the worker itself, such as with a JVM's -Xmx, or use --worker-max-requests",
        sys.platform,
        reason,
    )
