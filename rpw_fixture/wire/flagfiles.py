"""Splitting a worker action's command line and expanding its flagfiles, as Bazel does.

The rules are those of Bazel's WorkerParser and WorkerSpawnRunner: any argument that is ``@X``,
``-flagfile=X`` or ``--flagfile=X`` belongs to the request and all others start the worker; in the
request ``@X`` is replaced by the file's lines, recursively, while ``@@X``, ``@repo//pkg:X`` and the
two longer spellings pass unopened.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from rpw_fixture.errors import invalid_argument

_FLAGFILE = re.compile(r"(?:@|--?flagfile=)(.+)", re.DOTALL)
_LABEL = re.compile(r"@.*//.*", re.DOTALL)
_LINE_END = re.compile(r"\r\n|\n|\r")

#: Bounds that only a mistake or malice exceeds; Bazel itself has none.
MAX_DEPTH = 32
MAX_ARGUMENTS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCommandLine:
    """A command line in two: what starts the worker, and what goes into each request."""

    startup: tuple[str, ...]
    flagfiles: tuple[str, ...]


def split(arguments: Sequence[str]) -> SplitCommandLine:
    """Parts the flagfile arguments from those that start the worker, keeping both orders."""
    flagfiles = tuple(each for each in arguments if _FLAGFILE.fullmatch(each))
    startup = tuple(each for each in arguments if not _FLAGFILE.fullmatch(each))
    return SplitCommandLine(startup=startup, flagfiles=flagfiles)


def expand(arguments: Sequence[str], read: Callable[[str], bytes]) -> list[str]:
    """The arguments of a WorkRequest.

    Args:
        arguments: the flagfile arguments that `split` found.
        read: gives the content of a flagfile by the path that stands after the ``@``; it raises a
            RequestError when that is no declared input (bazel#18156).

    Raises:
        RequestError: INVALID_ARGUMENT for a flagfile that includes itself, is nested too deeply, is
            no UTF-8 text, or grows beyond all bounds.
    """
    expanded: list[str] = []
    for argument in arguments:
        for each in _expand(argument, read, ()):
            expanded.append(each)
            if len(expanded) > MAX_ARGUMENTS:
                raise invalid_argument(f"flagfile {argument!r} has over {MAX_ARGUMENTS} arguments")
    return expanded


def _expand(
    argument: str, read: Callable[[str], bytes], including: tuple[str, ...]
) -> Iterator[str]:
    if not is_expanded(argument):
        yield argument
        return
    path = argument[1:]
    if path in including:
        chain = " → ".join((*including, path))
        raise invalid_argument(f"flagfile {path!r} includes itself: {chain}")
    if len(including) >= MAX_DEPTH:
        raise invalid_argument(f"flagfile {including[0]!r} is nested over {MAX_DEPTH} files deep")
    for line in _lines(path, read(path)):
        yield from _expand(line, read, (*including, path))


def is_expanded(argument: str) -> bool:
    """Whether the argument is replaced by a file's lines: ``@X``, but not ``@@X`` or a label."""
    return (
        len(argument) > 1 and argument[0] == "@" != argument[1] and not _LABEL.fullmatch(argument)
    )


def _lines(path: str, content: bytes) -> list[str]:
    try:
        lines = _LINE_END.split(content.decode())
    except UnicodeDecodeError as error:
        raise invalid_argument(f"flagfile {path!r} is no UTF-8 text: {error}") from None
    if lines[-1] == "":
        lines.pop()
    return lines
