"""Readable descriptions of the differences between two outcomes."""

from __future__ import annotations

import difflib

from rpw_fixture.hermeticity.findings import parts
from rpw_fixture.hermeticity.trials.trial import EXIT_CODE, RESPONSE, Outcome
from rpw_fixture.storage.blobs import BlobStore
from rpw_fixture.wire.digests import Digest

_MOST_LINES = 40
_SHOWN_BYTES = 16
_MOST_MEMBERS = 10
#: Archives within archives are opened up to this depth.
_MAX_DEPTH = 3


def explain(
    before: Outcome, after: Outcome, aspects: list[str], store: BlobStore, labels: tuple[str, str]
) -> str:
    """Return a description of how two outcomes differ in ``aspects``.

    Args:
        before, after: usually the cold outcome and the other one.
        aspects: names of what differs.
        store: holds the content of outputs.
        labels: names of the two outcomes in the description.
    """
    left, right = before.aspects, after.aspects
    lines = []
    for name in aspects:
        old, new = left.get(name), right.get(name)
        if name == EXIT_CODE:
            lines.append(f"{name}: {_shown(old)} ({labels[0]}), {_shown(new)} ({labels[1]})")
            if after.detail:
                lines.append(f"  {after.detail}")
        elif name == RESPONSE:
            texts = str(old).encode(), str(new).encode()
            lines += [f"{name}:", _text(*texts, labels) or ""]
        else:
            lines += [_output(name, old, new, store, labels)]
    return "\n".join(each.rstrip("\n") for each in lines if each)


def content(described: object, store: BlobStore) -> tuple[bytes, bool] | None:
    """Return the bytes and executable bit of an output as `snapshot` describes it; None if not a file."""
    file = _file(described)
    data = store.get_or_none(file[0]) if file is not None else None
    return (data, file[1]) if file is not None and data is not None else None


def of_bytes(
    path: str, before: bytes, after: bytes, labels: tuple[str, str], depth: int = 0
) -> str:
    """Return a description of how two contents differ: by member, by line or by byte."""
    archives = parts.members(before), parts.members(after)
    if depth < _MAX_DEPTH and archives[0] is not None and archives[1] is not None:
        return _archive(path, archives[0], archives[1], labels, depth)
    text = _text(before, after, labels)
    if text is not None:
        return f"{path}:\n{text}"
    return f"{path}: {_first_bytes(before, after, labels)}"


def _output(path: str, old: object, new: object, store: BlobStore, labels: tuple[str, str]) -> str:
    before, after = content(old, store), content(new, store)
    if before is None or after is None:
        return f"{path}: {_kind(old)} ({labels[0]}), {_kind(new)} ({labels[1]})"
    if before[0] == after[0]:
        modes = ["executable" if each[1] else "not executable" for each in (before, after)]
        return f"{path}: {modes[0]} ({labels[0]}), {modes[1]} ({labels[1]})"
    return of_bytes(path, before[0], after[0], labels)


def _kind(described: object) -> str:
    if described is None:
        return "absent"
    file = _file(described)
    if file is not None:
        return f"{'an executable file' if file[1] else 'a file'} of {file[0].size} bytes"
    text = str(described)
    return f"a link to {text[3:]}" if text.startswith("-> ") else text


def _file(described: object) -> tuple[Digest, bool] | None:
    """Return the digest and executable bit of an output as `snapshot` describes it; None if not a file."""
    if not isinstance(described, str) or described.startswith("-> "):
        return None
    digest, _, mode = described.partition(" ")
    hash_, _, size = digest.partition("/")
    return (Digest(hash_, int(size)), mode == "executable") if size.isdigit() else None


def _shown(value: object) -> str:
    return "no response" if value is None else str(value)


def _text(before: bytes, after: bytes, labels: tuple[str, str]) -> str | None:
    try:
        old, new = before.decode(), after.decode()
    except UnicodeDecodeError:
        return None
    if "\0" in old + new:
        return None
    lines = list(
        difflib.unified_diff(old.splitlines(), new.splitlines(), *labels, lineterm="", n=1)
    )
    if not lines and old != new:
        return "  only the line ends differ"
    more = len(lines) - _MOST_LINES
    shown = [f"  {line[:200]}" for line in lines[:_MOST_LINES]]
    return "\n".join(shown + ([f"  … {more} more lines"] if more > 0 else []))


def _first_bytes(before: bytes, after: bytes, labels: tuple[str, str]) -> str:
    shorter = min(len(before), len(after))
    at = next((at for at in range(shorter) if before[at] != after[at]), shorter)
    pieces = [each[at : at + _SHOWN_BYTES].hex(" ") or "(end)" for each in (before, after)]
    return (
        f"first difference at byte {at}: {pieces[0]} ({labels[0]}), {pieces[1]} ({labels[1]}); "
        f"{len(before)} and {len(after)} bytes"
    )


def _archive(
    path: str,
    before: dict[str, parts.Member],
    after: dict[str, parts.Member],
    labels: tuple[str, str],
    depth: int,
) -> str:
    lines = []
    for name in dict.fromkeys([*before, *after]):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            sizes = ["absent" if each is None else f"{len(each[1])} bytes" for each in (old, new)]
            lines.append(f"{path}!{name}: {sizes[0]} ({labels[0]}), {sizes[1]} ({labels[1]})")
        elif old[1] != new[1]:
            lines.append(of_bytes(f"{path}!{name}", old[1], new[1], labels, depth + 1))
        elif old[0] != new[0]:
            lines.append(f"{path}!{name}: {old[0]} ({labels[0]}), {new[0]} ({labels[1]})")
    if not lines and list(before) != list(after):
        lines.append(f"{path}: the members are in another order")
    if not lines:
        lines.append(f"{path}: the archive differs outside its members (compression or comments)")
    more = len(lines) - _MOST_MEMBERS
    return "\n".join(lines[:_MOST_MEMBERS] + ([f"… {more} more members"] if more > 0 else []))
