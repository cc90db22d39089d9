"""How much memory a worker uses."""

from __future__ import annotations


def resident_bytes(pid: int) -> int:
    """Resident memory of a process and its descendants, 0 when it is gone.

    Memory that they share counts once for each of them, so a launcher with one child says a little
    too much.
    """
    import psutil  # noqa: PLC0415 - only servers with a memory budget need it

    try:
        process = psutil.Process(pid)
        family = [process, *process.children(recursive=True)]
    except psutil.Error:
        return 0
    total = 0
    for each in family:
        try:
            total += int(each.memory_info().rss)
        except psutil.Error:  # gone meanwhile
            continue
    return total
