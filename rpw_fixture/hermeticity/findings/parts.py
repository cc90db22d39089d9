"""The parts in which two contents differ: lines and words, members of archives, ranges of bytes. Pure.

The name of a part is its place, such as ``line 3, word 2``, so that a later comparison can leave out
the same place and still compare everything else.
"""

from __future__ import annotations

import difflib
import io
import re
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

#: The part that stands for the whole content.
WHOLE = "everything"
LINE_ORDER, WORD_ORDER = "order of lines", "order of words"
_MEMBER_ORDER = "order of members"
_MAX_BYTES = 8 << 20
#: Texts with more lines than this are not aligned, which takes quadratic time.
_MOST_ALIGNED = 2000
#: More parts than this are not distinguished.
_MOST_PARTS = 2000
_BLOCK = 8
#: Archives within archives are opened up to this depth.
_MAX_DEPTH = 3
_WORD = re.compile(r"\w+|\s+|[^\w\s]")


class Member(NamedTuple):
    """A member of an archive: its attributes as text, and its content."""

    about: str
    content: bytes


def differing(before: bytes, after: bytes, ignored: frozenset[str] = frozenset()) -> frozenset[str]:
    """Return the parts in which two contents differ, without those ``ignored``.

    Args:
        before: the content whose places are named.
        after: another content.
        ignored: parts that do not count, including the parts within them.
    """
    if before == after or WHOLE in ignored:
        return frozenset()
    if max(len(before), len(after)) > _MAX_BYTES:
        return frozenset((WHOLE,))
    found = frozenset(_differing(before, after, ignored, 0))
    if len(found) > _MOST_PARTS:
        found = frozenset((WHOLE,))
    return frozenset(each for each in found if not _is_covered(each, ignored))


def unstable(samples: Sequence[bytes]) -> frozenset[str]:
    """Return the parts in which repetitions of one content differ.

    Args:
        samples: the contents, in the order of the repetitions. If one of them differs in several places
            that were equal so far, the result is the whole content.
    """
    first, *others = samples
    known: frozenset[str] = frozenset()
    for each in others:
        fresh = differing(first, each, known)
        if known and len(fresh - {LINE_ORDER}) > 1:
            return frozenset((WHOLE,))
        known |= fresh
        # If the order is ignored, the same pair may differ in other places.
        known |= differing(first, each, known)
    return known


def members(data: bytes) -> dict[str, Member] | None:
    """Return an archive's members by name; None if the data is not an archive."""
    readers: tuple[Callable[[bytes], dict[str, Member]], ...] = (_zip, _tar)
    for read in readers:
        try:
            return read(data)
        except (zipfile.BadZipFile, tarfile.TarError, OSError, ValueError, EOFError, RuntimeError):
            continue
    return None


def _is_covered(part: str, ignored: frozenset[str]) -> bool:
    names = part.split(", ")
    return any(", ".join(names[:count]) in ignored for count in range(1, len(names) + 1))


def _differing(before: bytes, after: bytes, ignored: frozenset[str], depth: int) -> Iterable[str]:
    archives = (members(before), members(after)) if depth < _MAX_DEPTH else (None, None)
    if archives[0] is not None and archives[1] is not None:
        return _of_archives(archives[0], archives[1], ignored, depth)
    texts = _text(before), _text(after)
    if texts[0] is not None and texts[1] is not None:
        return _of_texts(texts[0], texts[1], ignored)
    return _of_bytes(before, after)


def _of_archives(
    before: dict[str, Member], after: dict[str, Member], ignored: frozenset[str], depth: int
) -> Iterable[str]:
    found = []
    is_explained = False  # by a content that differs, if only in places that do not count
    for name in dict.fromkeys([*before, *after]):
        here = f"member {name.replace(', ', ',')}"
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            found.append(here)
            continue
        if old.about != new.about:
            found.append(f"{here}, time or mode")
        if old.content != new.content:
            is_explained = True
            inner = frozenset(
                each.removeprefix(f"{here}, ") for each in ignored if each.startswith(f"{here}, ")
            )
            found += [
                f"{here}, {each}" for each in _differing(old.content, new.content, inner, depth + 1)
            ]
    if before.keys() == after.keys() and list(before) != list(after):
        found.append(_MEMBER_ORDER)
    return found if found or is_explained else ["outside of members"]


def _text(data: bytes) -> str | None:
    try:
        text = data.decode()
    except UnicodeDecodeError:
        return None
    return None if "\0" in text else text


def _of_texts(before: str, after: str, ignored: frozenset[str]) -> Iterable[str]:
    old, new = before.split("\n"), after.split("\n")
    if LINE_ORDER in ignored:
        return [f"sorted {each}" for each in _of_lines(sorted(old), sorted(new))]
    if old != new and Counter(old) == Counter(new):
        return [LINE_ORDER]
    return _of_lines(old, new)


def _of_lines(old: list[str], new: list[str]) -> list[str]:
    if len(old) == len(new):
        return _of_equally_many(old, new, 1)
    if max(len(old), len(new)) > _MOST_ALIGNED:
        return [WHOLE]
    found = []
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, start, stop, other_start, other_stop in matcher.get_opcodes():
        if kind == "equal":
            continue
        if stop - start == other_stop - other_start:
            found += _of_equally_many(old[start:stop], new[other_start:other_stop], start + 1)
        else:
            found.append(f"lines from {start + 1}")
    return found


def _of_equally_many(old: Sequence[str], new: Sequence[str], first: int) -> list[str]:
    found = []
    for number, (one, other) in enumerate(zip(old, new, strict=True), first):
        if one != other:
            found += [
                f"line {number}, {part}" if part else f"line {number}"
                for part in _of_words(one, other)
            ]
    return found


def _of_words(one: str, other: str) -> list[str]:
    old, new = _WORD.findall(one), _WORD.findall(other)
    if Counter(old) == Counter(new):
        return [WORD_ORDER]
    if len(old) != len(new):
        return [""]
    return [
        f"word {number}"
        for number, (left, right) in enumerate(zip(old, new, strict=True), 1)
        if left != right
    ]


def _of_bytes(before: bytes, after: bytes) -> Iterable[str]:
    if len(before) != len(after):
        return [WHOLE]
    found: list[str] = []
    for coarse in range(0, len(before), 4096):
        if before[coarse : coarse + 4096] == after[coarse : coarse + 4096]:
            continue
        blocks = range(coarse, min(coarse + 4096, len(before)), _BLOCK)
        found += [
            f"bytes {at}–{at + _BLOCK - 1}"
            for at in blocks
            if before[at : at + _BLOCK] != after[at : at + _BLOCK]
        ]
        if len(found) > _MOST_PARTS:
            return [WHOLE]
    return found


def _zip(data: bytes) -> dict[str, Member]:
    if not data.startswith(b"PK"):
        raise zipfile.BadZipFile
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {
            each.filename: Member(
                f"time {'-'.join(map(str, each.date_time))}, mode {each.external_attr >> 16:o}",
                archive.read(each),
            )
            for each in archive.infolist()
        }


def _tar(data: bytes) -> dict[str, Member]:
    found = {}
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        for each in archive:
            file = archive.extractfile(each) if each.isfile() else None
            about = f"time {each.mtime}, mode {each.mode:o}, owner {each.uid}:{each.gid}"
            content = file.read() if file is not None else b""
            found[each.name] = Member(about + each.linkname, content)
    if not found:  # zeros are an archive without members
        raise tarfile.ReadError
    return found
