"""Differences of contents as values that pages draw: lines, bytes in hex, members of archives. Pure.

`diff` says the same in text, for terminals.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from rpw_fixture.hermeticity.findings import parts
from rpw_fixture.hermeticity.findings.diff import content
from rpw_fixture.hermeticity.trials.trial import EXIT_CODE, RESPONSE, Outcome
from rpw_fixture.storage.blobs import BlobStore

_MOST_LINES = 60
_LINE_LENGTH = 300
#: Bytes in a row, rows at most, and equal rows shown beside those that differ.
_ROW, _MOST_ROWS, _CONTEXT = 16, 24, 1
_MOST_MEMBERS = 40
#: Archives within archives are opened up to this depth.
_MAX_DEPTH = 3


class ByteRow(NamedTuple):
    """The same 16 bytes of two contents; one of them may be shorter."""

    at: int
    left: bytes
    right: bytes


class MemberRow(NamedTuple):
    """A member of two archives: its size on each side, None if it is absent, and how it differs."""

    name: str
    sizes: tuple[int | None, int | None]
    about: tuple[str, str]
    difference: Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """The difference of two contents, in one of three forms.

    Attributes:
        path: the output; within an archive, the member.
        labels: names of the two results.
        sizes: numbers of bytes.
        lines: a unified difference, for texts.
        rows: rows of bytes, for everything that is no text and no archive.
        members: all members, for archives; those that differ first.
        more: number of further lines, rows or members that differ.
    """

    path: str
    labels: tuple[str, str]
    sizes: tuple[int, int]
    lines: tuple[str, ...] = ()
    rows: tuple[ByteRow, ...] = ()
    members: tuple[MemberRow, ...] = ()
    more: int = 0

    def as_dict(self) -> dict[str, object]:
        """Return the value for JSON reports; bytes are in hex."""
        fields: dict[str, object] = {
            "path": self.path,
            "labels": list(self.labels),
            "sizes": list(self.sizes),
        }
        if self.lines:
            fields["lines"] = list(self.lines)
        if self.rows:
            fields["rows"] = [[each.at, each.left.hex(), each.right.hex()] for each in self.rows]
        if self.members:
            fields["members"] = [_member_as_dict(each) for each in self.members]
        return fields | ({"more": self.more} if self.more else {})


def of_outcomes(
    before: Outcome,
    after: Outcome,
    aspects: Sequence[str],
    store: BlobStore,
    labels: tuple[str, str],
) -> tuple[Difference, ...]:
    """Return the differences of those outputs among the aspects that are files on both sides."""
    left, right = before.aspects, after.aspects
    found = []
    for name in aspects:
        if name in {EXIT_CODE, RESPONSE}:
            continue
        old, new = content(left.get(name), store), content(right.get(name), store)
        if old is not None and new is not None and old[0] != new[0]:
            found.append(compare(name, old[0], new[0], labels))
    return tuple(found)


def compare(
    path: str, before: bytes, after: bytes, labels: tuple[str, str], depth: int = 0
) -> Difference:
    """Return how two contents differ: by member, by line or by byte."""
    sizes = len(before), len(after)
    archives = parts.members(before), parts.members(after)
    if depth < _MAX_DEPTH and archives[0] is not None and archives[1] is not None:
        rows = _members(archives[0], archives[1], labels, depth)
        if any(each.difference or None in each.sizes or each.about[0] for each in rows):
            shown = tuple(sorted(rows, key=_is_equal)[:_MOST_MEMBERS])
            more = sum(not _is_equal(each) for each in rows) - len(shown)
            return Difference(
                path=path, labels=labels, sizes=sizes, members=shown, more=max(0, more)
            )
    lines = _lines(before, after, labels)
    if lines:
        more = max(0, len(lines) - _MOST_LINES)
        shown_lines = tuple(each[:_LINE_LENGTH] for each in lines[:_MOST_LINES])
        return Difference(path=path, labels=labels, sizes=sizes, lines=shown_lines, more=more)
    wanted = _wanted_rows(before, after)
    more = len(wanted) - _MOST_ROWS
    bytes_ = tuple(
        ByteRow(at, before[at : at + _ROW], after[at : at + _ROW]) for at in wanted[:_MOST_ROWS]
    )
    return Difference(path=path, labels=labels, sizes=sizes, rows=bytes_, more=max(0, more))


def _members(
    before: Mapping[str, parts.Member],
    after: Mapping[str, parts.Member],
    labels: tuple[str, str],
    depth: int,
) -> list[MemberRow]:
    rows = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        sizes = tuple(None if each is None else len(each.content) for each in (old, new))
        about, difference = ("", ""), None
        if old is not None and new is not None:
            if old.about != new.about:
                about = old.about, new.about
            if old.content != new.content:
                difference = compare(name, old.content, new.content, labels, depth + 1)
        rows.append(MemberRow(name, (sizes[0], sizes[1]), about, difference))
    return rows


def _is_equal(member: MemberRow) -> bool:
    return member.difference is None and None not in member.sizes and not member.about[0]


def _lines(before: bytes, after: bytes, labels: tuple[str, str]) -> list[str]:
    """Return a unified difference; empty if one of the contents is no text, or only line ends differ."""
    try:
        old, new = before.decode(), after.decode()
    except UnicodeDecodeError:
        return []
    if "\0" in old + new:
        return []
    left, right = old.splitlines(), new.splitlines()
    return list(difflib.unified_diff(left, right, *labels, lineterm="", n=1))


def _wanted_rows(before: bytes, after: bytes) -> list[int]:
    """Return where the rows begin that differ, each with its neighbours."""
    wanted: dict[int, None] = {}
    size = max(len(before), len(after))
    for at in _differing_rows(before, after, size):
        for near in range(at - _CONTEXT * _ROW, at + _CONTEXT * _ROW + 1, _ROW):
            if 0 <= near < size:
                wanted[near] = None
        if len(wanted) > 100 * _MOST_ROWS:
            break  # the count of the others would take longer than it is worth
    return list(wanted)


def _differing_rows(before: bytes, after: bytes, size: int) -> Iterator[int]:
    for at in range(0, size, _ROW):
        if before[at : at + _ROW] != after[at : at + _ROW]:
            yield at


def _member_as_dict(row: MemberRow) -> dict[str, object]:
    fields: dict[str, object] = {"name": row.name, "sizes": list(row.sizes)}
    if row.about[0]:
        fields["about"] = list(row.about)
    return fields | ({"difference": row.difference.as_dict()} if row.difference else {})
