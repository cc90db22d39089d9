"""Other contents of inputs: the same path and size, another content."""

from __future__ import annotations

import functools
import hashlib
import itertools
import posixpath
from collections.abc import Iterator, Mapping, Sequence

from rpw_fixture.client.inputs import Entry, File
from rpw_fixture.hermeticity.suites.suite import SuiteAction


def variants(content: bytes) -> list[bytes]:
    """Return other contents of the same size, least destructive first: one letter or digit differs."""
    places = [at for at, byte in enumerate(content) if chr(byte).isascii() and chr(byte).isalnum()]
    if not places:
        places = list(range(len(content)))
    picked = dict.fromkeys(
        places[index] for index in (len(places) // 2, 0, -1, len(places) // 4) if places
    )
    return [content[:at] + bytes([_next(content[at])]) + content[at + 1 :] for at in picked]


def other_configuration(action: SuiteAction) -> SuiteAction | None:
    """Return the action with other content in every input file, at the same paths; None without any.

    This is what a build with path mapping sends: two configurations whose files have the same paths.
    """
    entries: dict[str, Entry] = dict(action.inputs)
    for path, entry in action.inputs.items():
        if isinstance(entry, File) and (others := variants(entry.content)):
            entries[path] = File(others[0], entry.is_executable)
    if entries == dict(action.inputs):
        return None
    return action.changed("other configuration", inputs=entries)


def _next(byte: int) -> int:
    for first, last in (("a", "z"), ("A", "Z"), ("0", "9")):
        if ord(first) <= byte <= ord(last):
            return byte + 1 if byte < ord(last) else ord(first)
    return byte ^ 1


#: About one pair of digests in 2**32 has equal first bytes. Few endings of one content, which are kept,
#: and many of the other cost the fewest digests.
_SAME_BYTES, _KEPT, _TRIED = 4, 16, 18


@functools.lru_cache(maxsize=4)
def with_equal_prefix(one: bytes, other: bytes) -> tuple[bytes, bytes] | None:
    """Return the two contents with white space appended, so that their digests begin with 8 equal digits.

    That takes about a tenth of a second, and fails for one pair in fifty.
    """
    begun, other_begun = hashlib.sha256(one), hashlib.sha256(other)
    endings: dict[bytes, bytes] = {}
    for ending in _endings(_KEPT):
        hasher = begun.copy()
        hasher.update(ending)
        endings[hasher.digest()[:_SAME_BYTES]] = ending
    for ending in _endings(_TRIED):
        hasher = other_begun.copy()
        hasher.update(ending)
        found = endings.get(hasher.digest()[:_SAME_BYTES])
        if found is not None:
            return one + found, other + ending
    return None


def _endings(length: int) -> Iterator[bytes]:
    """Yield all lines of `length` spaces and tabs."""
    return (b"%s\n" % bytes(each) for each in itertools.product(b" \t", repeat=length))


def shadowed(action: SuiteAction) -> SuiteAction | None:
    """Return the action with more files: in folders that come earlier in a search, under the same names.

    Folders come earlier if the arguments name them before that of an input; between folders of inputs,
    which are perhaps searched in a fixed order, each is tried. None if there are no such folders.
    """
    files = {path: entry for path, entry in action.inputs.items() if isinstance(entry, File)}
    taken = {*action.inputs, *action.outputs, action.flagfile}
    entries: dict[str, Entry] = dict(action.inputs)
    for path, entry in files.items():
        folder, name = posixpath.split(path)
        others = variants(entry.content)
        for earlier in _earlier(action, folder, files) if folder and others else ():
            shadow = posixpath.join(earlier, name)
            if shadow not in taken:
                entries[shadow] = File(others[0], entry.is_executable)
    if len(entries) == len(action.inputs):
        return None
    return action.changed("files added in other folders", inputs=entries)


def _earlier(action: SuiteAction, folder: str, files: Mapping[str, File]) -> list[str]:
    """Return folders that may be searched before one."""
    found = dict.fromkeys(posixpath.dirname(each) for each in files)
    for arguments in (action.arguments, *(_path_in(each).split(":") for each in action.arguments)):
        named = [_folder_in(each) for each in arguments]
        if folder in named:
            place = named.index(folder)
            style = _style(arguments, place)
            found |= {
                each: None
                for at, each in enumerate(named[:place])
                if each and _style(arguments, at) == style and each not in files
            }
    outputs = {posixpath.dirname(each) for each in action.outputs} | set(action.outputs)
    return [each for each in found if each and each != folder and each not in outputs]


def _path_in(argument: str) -> str:
    """Return the end of an argument such as ``-Iinclude`` or ``--path=include``."""
    return argument.removeprefix("-I") if argument.startswith("-I") else argument.rpartition("=")[2]


def _folder_in(argument: str) -> str:
    """Return the relative path at the end of an argument, or an empty text."""
    path = _path_in(argument)
    return posixpath.normpath(path) if path and not path.startswith(("-", "/", "@")) else ""


def _style(arguments: Sequence[str], at: int) -> str:
    """Return what is written before a path: a part of its argument, or the argument before it."""
    argument = arguments[at]
    before = argument[: len(argument) - len(_path_in(argument))]
    return before or (arguments[at - 1] if at and arguments[at - 1].startswith("-") else "")
