"""Splits the command line of a worker's action and expands its flagfiles, as Bazel does.

The rules are those of Bazel's WorkerParser and WorkerSpawnRunner: any argument that is ``@X``,
``-flagfile=X`` or ``--flagfile=X`` belongs to the request and all others start the worker; in the
request ``@X`` is replaced by the file's lines, recursively, while ``@@X``, ``@repo//pkg:X`` and the
two longer forms stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from rpw_fixture.errors import invalid_argument
from rpw_fixture.support.paths import join_normalised

if TYPE_CHECKING:
    from rpw_fixture.wire.digests import Digest
    from rpw_fixture.wire.trees import Folder

# Bazel's patterns; in Java a dot matches no line end, of which Java has more than Python.
_FLAGFILE = re.compile(r"(?:@|--?flagfile=)[^\n\r\x85\u2028\u2029]+")
_LABEL = re.compile(r"@[^\n\r\x85\u2028\u2029]*//[^\n\r\x85\u2028\u2029]*")
_NO_ESCAPE = re.compile(r"(?:@(?!@)|--?flagfile=)[^\n\r\x85\u2028\u2029]+")
_NO_LABEL = re.compile(r"(?!.*//)(?:@(?!@)|--?flagfile=)[^\n\r\x85\u2028\u2029]+")
_LINE_END = re.compile(r"\r\n|\n|\r")

#: Limits that only a mistake or malice exceeds; Bazel has none.
MAX_DEPTH = 32
MAX_ARGUMENTS = 1_000_000


class Split(StrEnum):
    """The rule by which a server decides which arguments are flagfiles.

    Attributes:
        BAZEL: ``@X``, ``-flagfile=X`` and ``--flagfile=X``, anywhere in the command line.
        NO_ESCAPES: as Bazel, but not ``@@X``.
        NO_LABELS: as Bazel, but not ``@@X`` and nothing that contains ``//``.
        SUFFIX: ``@…``, ``-flagfile…`` and ``--flagfile…`` at the end of the command line.
        FROM_FIRST_AT: everything from the first argument on that starts with ``@``.
    """

    BAZEL = "Bazel's"
    NO_ESCAPES = "Bazel's, but for @@x and @"
    NO_LABELS = "Bazel's, but for @@x and //"
    SUFFIX = "the last ones"
    FROM_FIRST_AT = "from the first @ on"


_PATTERNS = {Split.BAZEL: _FLAGFILE, Split.NO_ESCAPES: _NO_ESCAPE, Split.NO_LABELS: _NO_LABEL}


@dataclass(frozen=True, slots=True, kw_only=True)
class SplitCommandLine:
    """A command line in two parts: what starts the worker, and what goes into each request."""

    startup: tuple[str, ...]
    flagfiles: tuple[str, ...]


def split(arguments: Sequence[str], mode: Split = Split.BAZEL) -> SplitCommandLine:
    """Split a command line into start-up arguments and flagfiles, each in their order.

    Raises:
        RequestError: INVALID_ARGUMENT for a flagfile that is not at the end, where the rule demands it.
    """
    if mode is Split.FROM_FIRST_AT:
        return _split(arguments, next(_positions(arguments, ("@",)), len(arguments)))
    if mode is Split.SUFFIX:
        return _split_suffix(arguments)
    is_flagfile = _PATTERNS[mode].fullmatch
    flagfiles = tuple(each for each in arguments if is_flagfile(each))
    startup = tuple(each for each in arguments if not is_flagfile(each))
    return SplitCommandLine(startup=startup, flagfiles=flagfiles)


def _split_suffix(arguments: Sequence[str]) -> SplitCommandLine:
    positions = list(_positions(arguments, ("@", "-flagfile", "--flagfile")))
    first = positions[0] if positions else len(arguments)
    if len(arguments) - first != len(positions):
        raise invalid_argument(
            f"flagfile {arguments[first]!r} must be at the end of the command line; "
            f"{arguments[first + 1]!r} follows it"
        )
    return _split(arguments, first)


def _positions(arguments: Sequence[str], prefixes: tuple[str, ...]) -> Iterator[int]:
    return (index for index, each in enumerate(arguments) if each.startswith(prefixes))


def _split(arguments: Sequence[str], at: int) -> SplitCommandLine:
    return SplitCommandLine(startup=tuple(arguments[:at]), flagfiles=tuple(arguments[at:]))


def expand(arguments: Sequence[str], read: Callable[[str], bytes]) -> list[str]:
    """Return the arguments of a WorkRequest.

    Args:
        arguments: the flagfile arguments that `split` returned.
        read: returns the content of a flagfile by the path after the ``@``; raises a RequestError
            when that is not a declared input (bazel#18156). See `FlagfileReader`.

    Raises:
        RequestError: INVALID_ARGUMENT for a flagfile that includes itself, is nested too deeply, is
            not UTF-8 text, or has too many arguments.
    """
    expansion = _Expansion(read)
    for argument in arguments:
        expansion.add(argument, ())
    return expansion.arguments


class FlagfileReader:
    """Reads flagfiles among the inputs of an action; its `read` is what `expand` takes.

    Args:
        root: the input root.
        base: the folder to which the paths of flagfiles are relative, relative to the input root.
        get_blob: gives the content of a file by its digest.

    Attributes:
        paths: of the flagfiles read so far, relative to the input root.
    """

    def __init__(self, root: Folder, base: str, get_blob: Callable[[Digest], bytes]) -> None:
        self.paths: list[str] = []
        self._root = root
        self._base = base
        self._get_blob = get_blob

    def read(self, path: str) -> bytes:
        """Return the content of a flagfile.

        Raises:
            RequestError: INVALID_ARGUMENT when the path is not that of a declared input.
            BlobMissingError: when the content is not stored.
        """
        full = join_normalised(self._base, path)
        file = None if path.startswith("/") else self._root.find_file(full)
        if file is None:
            raise invalid_argument(
                f"flagfile {path!r} is not a declared input of the action; add it to its inputs"
            )
        self.paths.append(full)
        return self._get_blob(file.digest)


class _Expansion:
    """An expansion in progress."""

    def __init__(self, read: Callable[[str], bytes]) -> None:
        self.arguments: list[str] = []
        self._read = read
        self._opened = 0

    def add(self, argument: str, including: tuple[str, ...]) -> None:
        """Append the argument, or the expanded lines of its flagfile."""
        if is_expanded(argument):
            self._add_file(argument[1:], including)
        else:
            self.arguments.append(argument)

    def _add_file(self, path: str, including: tuple[str, ...]) -> None:
        if path in including:
            chain = " → ".join((*including, path))
            raise invalid_argument(f"flagfile {path!r} includes itself: {chain}")
        if len(including) >= MAX_DEPTH:
            raise invalid_argument(
                f"flagfile {including[0]!r} is nested over {MAX_DEPTH} files deep"
            )
        lines = _lines(path, self._read(path))
        # Opened files count too: a few without other arguments can name each other without end.
        self._opened += 1
        if self._opened + len(self.arguments) + len(lines) > MAX_ARGUMENTS:
            raise invalid_argument(
                f"flagfile {(*including, path)[0]!r} has over {MAX_ARGUMENTS} arguments"
            )
        within = (*including, path)
        for line in lines:
            if line.startswith("@"):
                self.add(line, within)
            else:
                self.arguments.append(line)


def is_expanded(argument: str) -> bool:
    """Return whether an argument stands for the lines of a file: ``@X``, but not ``@@X`` or a label."""
    return (
        len(argument) > 1 and argument[0] == "@" != argument[1] and not _LABEL.fullmatch(argument)
    )


def _lines(path: str, content: bytes) -> list[str]:
    try:
        lines = _LINE_END.split(content.decode())
    except UnicodeDecodeError as error:
        raise invalid_argument(f"flagfile {path!r} is not UTF-8 text: {error}") from None
    if lines[-1] == "":
        lines.pop()
    return lines
