"""Changes that no test can notice, because the program does the same with them; each with the reason.

An entry is a module, the text that is replaced, the text that stands there instead, and why that is the
same. An entry that matches nothing in the code is reported, so that the list does not go stale.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tests.mutation.changes import Change, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Equivalent:
    """A change without an effect that can be observed.

    Attributes:
        module: its path in the checkout; a folder ends in "/".
        old: part of the text that is replaced.
        new: part of the replacement; empty for any.
        reason: why nothing can notice it.
        kind: only changes of this kind; None for all.
    """

    module: str
    old: str
    new: str = ""
    reason: str
    kind: Kind | None = None

    def covers(self, change: Change) -> bool:
        """Return whether ``change`` is this one."""
        is_there = change.module == self.module or (
            self.module.endswith("/") and change.module.startswith(self.module)
        )
        is_kind = self.kind is None or change.kind is self.kind
        return is_there and is_kind and self.old in change.old and self.new in change.new


EQUIVALENTS = (
    Equivalent(
        module="rpw_fixture/support/beneath.py",
        old="0x08",
        new="(9)",
        reason="the bit that is added is one of the others",
        kind=Kind.CONSTANT,
    ),
    Equivalent(
        module="rpw_fixture/support/inotify.py",
        old="len(data) <= _BUFFER - _LONGEST",
        new="len(data) < _BUFFER - _LONGEST",
        reason="one read more then finds nothing",
        kind=Kind.COMPARISON,
    ),
    Equivalent(
        module="rpw_fixture/wire/command.py",
        old="tuple(message.output_paths)",
        reason="they become another tuple; a repeated field is false when empty, as a tuple is",
        kind=Kind.CALL,
    ),
    Equivalent(
        module="rpw_fixture/execution/staging/",
        old="watch < 0",
        new="watch <= 0",
        reason="the numbers of watches begin with 1 (inotify(7)); what can't be watched has -1",
        kind=Kind.COMPARISON,
    ),
    Equivalent(
        module="rpw_fixture/storage/blob_index.py",
        old="excess <= 0",
        new="excess < 0",
        reason="0 comes only of another thread that made room to the byte; then one sweep more is made",
        kind=Kind.COMPARISON,
    ),
)


def reason_of(change: Change) -> str | None:
    """Return why ``change`` has no effect; None when it has one, as far as is known."""
    return next((each.reason for each in EQUIVALENTS if each.covers(change)), None)


def stale(root: Path) -> list[Equivalent]:
    """Return the entries that match nothing in the code."""
    return [each for each in EQUIVALENTS if not _is_there(root, each)]


def _is_there(root: Path, entry: Equivalent) -> bool:
    place = root / entry.module
    paths = place.rglob("*.py") if place.is_dir() else iter([place] if place.exists() else [])
    return any(entry.old in path.read_text() for path in paths)
