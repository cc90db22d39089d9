"""Globs over input paths: ``*`` and ``?`` stay within a name, ``**`` spans folders."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable


def matcher(globs: Iterable[str]) -> Callable[[str], bool]:
    """Return a predicate that is true for slash-separated paths that match any of ``globs``.

    ``tools/**`` matches everything below ``tools``; ``**/x.py`` matches ``x.py`` at any depth.
    """
    patterns = [_translate(glob) for glob in globs]
    if not patterns:
        return lambda _path: False
    compiled = re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.DOTALL)
    return lambda path: compiled.fullmatch(path) is not None


def may_match_below(globs: Iterable[str]) -> Callable[[str], bool]:
    """Return a predicate: whether something below a folder may match any of ``globs``.

    It is true for every folder above a match; a walk can leave out the others.
    """
    patterns = [_parts(glob) for glob in globs]
    return lambda folder: any(_leads_into(parts, folder.split("/")) for parts in patterns)


def names_exactly(globs: Iterable[str], path: str) -> bool:
    """Return whether a glob leads to this path without wildcards, and maybe on below it."""
    names = path.split("/")
    return any(_parts(glob)[: len(names)] == names for glob in globs)


def _parts(glob: str) -> list[str]:
    return glob.removeprefix("./").split("/")


def _leads_into(parts: list[str], names: list[str]) -> bool:
    for part, name in zip(parts[:-1], names, strict=False):
        if "**" in part:
            return True
        if re.fullmatch(_translate(part), name, re.DOTALL) is None:
            return False
    return len(names) < len(parts) or "**" in parts[-1]


def _translate(glob: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob.removeprefix("./"))
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(special.get(part, re.escape(part)) for part in parts)
