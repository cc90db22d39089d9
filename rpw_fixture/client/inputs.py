"""The kinds of inputs of an action, and how they are read from disk.

Files, links and empty folders as values, without digests or messages.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from rpw_fixture.errors import ConfigError
from rpw_fixture.support import globs
from rpw_fixture.support.paths import join_normalised, leads_out


@dataclass(frozen=True, slots=True)
class File:
    """A file with this content."""

    content: bytes
    is_executable: bool = False

    def __repr__(self) -> str:
        shown = repr(self.content) if len(self.content) <= 40 else f"<{len(self.content)} bytes>"
        return f"File({shown}{', is_executable=True' * self.is_executable})"


@dataclass(frozen=True, slots=True)
class Symlink:
    """A symbolic link with this target, verbatim."""

    target: str


@dataclass(frozen=True, slots=True)
class EmptyFolder:
    """A folder with nothing in it."""


#: An input as an action keeps it.
Entry = File | Symlink | EmptyFolder
#: An input as it can be given: text is UTF-8, a `Path` is read from disk.
Content = bytes | str | Path | File | Symlink | EmptyFolder


def read_entries(contents: Mapping[str, Content]) -> dict[str, Entry]:
    """Return contents as entries, by path; a `Path` to a folder becomes an entry for each file in it.

    Raises:
        ConfigError: for a path that occurs twice, or content of another type.
        OSError: for what cannot be read.
    """
    entries: dict[str, Entry] = {}
    for path, content in contents.items():
        for name, entry in _entries_of(path, content):
            if name in entries:
                raise ConfigError(f"input {name!r} is given twice")
            entries[name] = entry
    return entries


def read_folder(root: Path, patterns: Iterable[str]) -> dict[str, Entry]:
    """Return the entries below ``root`` whose relative paths match the globs.

    A relative link that stays inside the folder is kept as a link, any other one is followed. Only
    folders in which something can match are read, and Bazel's links to its output base
    (``bazel-bin``, …) only if a glob names them.

    Raises:
        ConfigError: if a glob matches nothing, or a link leads to a folder outside.
        OSError: for what cannot be read.
    """
    patterns = tuple(patterns)
    if not patterns:
        return {}
    paths = sorted(_Walk(root, patterns).paths(""))
    for pattern in patterns:
        if not any(map(globs.matcher([pattern]), paths)):
            leads_out = pattern.startswith("/") or ".." in pattern.split("/")
            hint = "; a glob can't lead out of this folder" if leads_out else ""
            raise ConfigError(f"glob {pattern!r} matches nothing below {root}{hint}")
    is_wanted = globs.matcher(patterns)
    return {path: _read(root, path) for path in paths if is_wanted(path)}


def _entries_of(path: str, content: Content) -> Iterator[tuple[str, Entry]]:
    if isinstance(content, Path):
        if content.is_dir():
            prefix = f"{path}/" if path else ""
            entries = read_folder(content, ("**",)) if any(content.iterdir()) else {}
            yield from ((prefix + name, entry) for name, entry in entries.items())
            if not entries and path:
                yield path, EmptyFolder()
        else:
            yield path, _read_file(content)
    elif isinstance(content, bytes | bytearray | memoryview):
        yield path, File(bytes(content))
    elif isinstance(content, str):
        yield path, File(content.encode())
    elif isinstance(content, File | Symlink | EmptyFolder):
        yield path, content
    else:
        raise ConfigError(
            f"input {path!r} is a {type(content).__name__}; give bytes, text or a Path"
        )


class _Walk:
    """A walk through the folders below ``root`` in which something can match."""

    def __init__(self, root: Path, patterns: tuple[str, ...]) -> None:
        self._root = root
        self._patterns = patterns
        self._may_match_below = globs.may_match_below(patterns)
        self._matches = globs.matcher(patterns)

    def paths(self, prefix: str) -> Iterator[str]:
        """Yield the relative paths of files, links and empty folders."""
        with os.scandir(self._root / prefix) as found:
            entries = sorted(found, key=lambda entry: entry.name)
        for entry in entries:
            path = prefix + entry.name
            may_lead = self._may_match_below(path)
            if entry.is_symlink():
                if (may_lead or self._matches(path)) and not self._is_left_out(entry, path):
                    yield path
            elif entry.is_dir() and any(Path(entry.path).iterdir()):
                if may_lead:
                    yield from self.paths(f"{path}/")
            else:
                yield path

    def _is_left_out(self, link: os.DirEntry[str], path: str) -> bool:
        """Return whether a link is Bazel's and not wanted.

        Raises:
            ConfigError: the link leads to a folder outside.
        """
        if _stays_inside(self._root, path) or not link.is_dir():
            return False
        is_bazels = link.name.startswith("bazel-") and "/execroot/" in _target(Path(link.path))
        if is_bazels and not globs.names_exactly(self._patterns, path):
            return True
        raise ConfigError(
            f"{link.path} is a link to a folder outside {self._root}; give the path of that folder "
            "instead"
        )


def _read(root: Path, path: str) -> Entry:
    full = root / path
    if full.is_symlink() and _stays_inside(root, path):
        return Symlink(_target(full))
    return EmptyFolder() if full.is_dir() else _read_file(full)


def _read_file(path: Path) -> File:
    with path.open("rb") as file:
        mode = os.fstat(file.fileno()).st_mode
        return File(file.read(), bool(mode & stat.S_IXUSR))


def _target(link: Path) -> str:
    return os.readlink(link)  # noqa: PTH115 - a Path would lose a slash at the end


def _stays_inside(root: Path, path: str) -> bool:
    target = _target(root / path)
    return not leads_out(join_normalised(posixpath.dirname(path), target))
