"""The memory limit of this process: that of its control group, version 1 or 2."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from pathlib import Path

_GROUPS = Path("/proc/self/cgroup")
_MOUNTS = Path("/proc/self/mounts")
_HIERARCHY = Path("/sys/fs/cgroup")
#: Values from this one on mean no limit: version 1 writes the largest number of pages for it.
_NO_LIMIT = 1 << 60
#: File systems that keep their files in memory.
_IN_MEMORY = frozenset({"tmpfs", "ramfs"})


@functools.cache  # two parts of every server ask, and one answer takes half a millisecond
def memory_limit(groups: Path = _GROUPS, hierarchy: Path = _HIERARCHY) -> int | None:
    """Return the lowest limit of this process's control group and its parents, bytes; None for no limit.

    It is read once.

    Args:
        groups: the file that names the group.
        hierarchy: the folder where the groups are mounted.
    """
    try:
        lines = groups.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError):  # not Linux, or no /proc
        return None
    limits = [limit for line in lines for limit in _limits_of(line, hierarchy)]
    return min(limits, default=None)


def is_in_memory(folder: Path, mounts: Path = _MOUNTS) -> bool:
    """Return whether a folder is on a RAM disk, so that its files use memory."""
    try:
        lines = mounts.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return False
    kinds: dict[Path, str] = {}
    for line in lines:
        _, target, kind, *_ = line.split(" ")
        kinds[Path(target.replace("\\040", " "))] = kind  # a later mount hides an earlier one
    path = folder.resolve()
    around = next((each for each in (path, *path.parents) if each in kinds), None)
    return around is not None and kinds[around] in _IN_MEMORY


def _limits_of(line: str, hierarchy: Path) -> Iterator[int]:
    """Yield the limits of the group in a line of /proc/self/cgroup, and of its parents."""
    number, _, rest = line.partition(":")
    controllers, _, group = rest.partition(":")
    if "memory" in controllers.split(","):
        top, name = hierarchy / "memory", "memory.limit_in_bytes"
    elif number == "0":
        top, name = hierarchy, "memory.max"
        if not (top / "cgroup.controllers").exists():
            top = hierarchy / "unified"
    else:
        return
    # In a container the line may hold the host's name of the group; then only the top exists.
    parts = [part for part in group.split("/") if part not in ("", "..")]
    for depth in range(len(parts), -1, -1):
        limit = _read(top.joinpath(*parts[:depth], name))
        if limit is not None and limit < _NO_LIMIT:
            yield limit


def _read(path: Path) -> int | None:
    try:
        text = path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return int(text) if text.isdecimal() else None
