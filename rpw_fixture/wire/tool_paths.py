"""Guesses from names which inputs belong to a tool, where the client does not mark them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from rpw_fixture.support.globs import matcher

#: What stands between a program and its name in the runfiles of launchers.
_RUNFILES = ".runfiles"


def tool_paths(
    command: Sequence[str], paths: Iterable[str], globs: Sequence[str] = ()
) -> frozenset[str]:
    """Return those of ``paths`` that belong to the tool that ``command`` starts.

    They match one of ``globs``. Without globs they are the files that the command line names, their
    runfiles, and the files in the folder of its first file and below, unless that is the root.
    """
    known = tuple(paths)
    if globs:
        return frozenset(filter(matcher(globs), known))
    there = set(known)
    named = [each for each in map(_path, command) if each in there]
    folders = [f"{each}{_RUNFILES}/" for each in named]
    if named:
        home = str(PurePosixPath(named[0]).parent)
        folders += [f"{home}/"] if home != "." else []
    return frozenset(
        {*named, *(each for each in known if any(map(each.startswith, folders)))},
    )


def _path(word: str) -> str:
    """Return the path in a word of a command line such as ``--jar=tools/x.jar``."""
    return posixpath.normpath(word.rpartition("=")[2] or ".")
