"""Paths with forward slashes, as protocols write them: computed as text, without a look at the disk."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from functools import lru_cache

#: Joined paths that are kept: actions of a build name the same ones again and again.
_MOST_JOINED = 1024


@lru_cache(maxsize=_MOST_JOINED)
def join_normalised(base: str, path: str) -> str:
    """Return ``path``, which is relative to ``base``, in its shortest form.

    ``..`` removes the name before it, as clients compute it, even if that name is a symlink on disk.

    Returns:
        A path relative to what ``base`` is relative to; "." for that folder itself. An absolute
        ``path`` stays absolute.
    """
    return posixpath.normpath(posixpath.join(base, path))


def parents_of(path: str) -> Iterator[str]:
    """Yield the folders above a relative path in its shortest form, the nearest one first."""
    while path := path.rpartition("/")[0]:
        yield path


def leads_out(path: str) -> bool:
    """Return whether a path in its shortest form leaves the folder that it is relative to."""
    return path == ".." or path.startswith(("/", "../"))
