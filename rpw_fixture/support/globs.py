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


def _translate(glob: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", glob.removeprefix("./"))
    special = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(special.get(part, re.escape(part)) for part in parts)
