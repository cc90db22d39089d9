"""Guesses the outputs of a request, which no WorkRequest lists: files it names that change."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress

from rpw_fixture.support.paths import join_normalised, leads_out, parents_of

_SEPARATORS = re.compile(r"[=:,;]")
_LONGEST_PATH = 4096
#: Most files of a folder that is looked at: looking must not delay the request.
_MOST_FILES = 2000
#: Outputs that are held open until they were read.
_MOST_OPEN = 64
_PIECE = 1 << 20


class OutputWatch:
    """Compares the files that the arguments of a request name before and after it.

    Args:
        root: the folder that paths are relative to.
        arguments: arguments of the request.
        inputs: paths of its inputs, which are no outputs.
    """

    def __init__(self, root: str, arguments: Iterable[str], inputs: Iterable[str]) -> None:
        self._root = root
        known = set(inputs)
        parents = {parent for path in known for parent in parents_of(path)}
        self._paths = [each for each in _candidates(root, arguments) if each not in known | parents]
        self._before = {each: self._look(each) for each in self._paths}
        self._files: list[tuple[str, int | str]] = []
        self.outputs: tuple[str, ...] = ()

    def see_end(self) -> None:
        """Find the outputs, and keep them open: the build tool may move them away after the response."""
        outputs = []
        for path in self._paths:
            before, after = self._before[path], self._look(path)
            changed = [name for name, seen in after.items() if before.get(name) != seen]
            if not changed or path in outputs:
                continue
            is_own = not before or changed == [path]
            outputs += [path] if is_own else changed
            for each in changed:
                self._open(each)
        self.outputs = tuple(dict.fromkeys(outputs))

    def digests(self) -> list[tuple[str, str]]:
        """Return path and digest (``hash/size``) of each file, and close them."""
        found = []
        for path, file in self._files:
            with suppress(OSError), open(file, "rb") as source:
                hasher, size = hashlib.sha256(), 0
                while piece := source.read(_PIECE):
                    hasher.update(piece)
                    size += len(piece)
                found.append((path, f"{hasher.hexdigest()}/{size}"))
        self._files.clear()
        return found

    def close(self) -> None:
        """Close the outputs without reading them."""
        for _, file in self._files:
            if isinstance(file, int):
                os.close(file)
        self._files.clear()

    def _open(self, path: str) -> None:
        full = os.path.join(self._root, path)
        if len(self._files) >= _MOST_OPEN:
            self._files.append((path, full))
            return
        with suppress(OSError):
            self._files.append((path, os.open(full, os.O_RDONLY | os.O_CLOEXEC)))

    def _look(self, path: str) -> Mapping[str, object]:
        """Return what identifies the state of each file at a path or below it; empty if there is none."""
        found: dict[str, object] = {}
        for name in _walk(self._root, path):
            with suppress(OSError):
                seen = os.stat(os.path.join(self._root, name))
                if stat.S_ISREG(seen.st_mode):
                    found[name] = (seen.st_ino, seen.st_size, seen.st_mtime_ns, seen.st_ctime_ns)
            if len(found) >= _MOST_FILES:
                break
        return found


def _candidates(root: str, arguments: Iterable[str]) -> list[str]:
    found: dict[str, None] = {}
    for argument in arguments:
        for word in (argument, *_SEPARATORS.split(argument)):
            path = word.removeprefix(f"{root}/").removeprefix("@")
            if not path or len(path) > _LONGEST_PATH or "\0" in path or "\n" in path:
                continue
            normal = join_normalised("", path)
            if normal != "." and not leads_out(normal):
                found[normal] = None
    return list(found)


def _walk(root: str, path: str) -> Iterator[str]:
    full = os.path.join(root, path)
    if not os.path.isdir(full):
        yield path
        return
    for folder, folders, names in os.walk(full):
        folders.sort()
        for name in sorted(names):
            yield os.path.relpath(os.path.join(folder, name), root)
