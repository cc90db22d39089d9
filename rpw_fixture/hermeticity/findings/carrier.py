"""Carriers of state from one request to a later one: a variable, a file, a descriptor. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

#: More suspects than this are only counted in texts.
_SHOWN = 4
_LONGEST = 80


@dataclass(frozen=True, slots=True, kw_only=True)
class Carrier:
    """A place that carried state, or may have.

    Attributes:
        kind: what it is, such as ``module global`` or ``file``.
        name: its name, such as ``_seen``.
        place: where it is defined, ``tools/compiler.py:12``; "" if that is not known.
        before, after: its content before and after the polluters, in a short form.
        is_confirmed: with it put back, the victim was right again; else it is only a suspect.
        changed_at: the line that changed it; "" if that is not known.
    """

    kind: str
    name: str
    place: str = ""
    before: str = ""
    after: str = ""
    is_confirmed: bool = False
    changed_at: str = ""

    def as_dict(self) -> dict[str, object]:
        """Return the value for JSON reports; ``changed_at`` is there if it is known."""
        fields: dict[str, object] = {
            "kind": self.kind,
            "name": self.name,
            "place": self.place,
            "before": self.before,
            "after": self.after,
            "confirmed": self.is_confirmed,
        }
        return fields | {"changed_at": self.changed_at} if self.changed_at else fields

    def __str__(self) -> str:
        """Return what it is, where it is defined, how it changed, and at which line."""
        name = self.kind if self.name == self.kind else f"{self.kind} {self.name}"
        place = f" ({self.place})" if self.place else ""
        change = ""
        if self.before or self.after:
            change = f": {_short(self.before)} → {_short(self.after)}"
        line = f", changed at {self.changed_at}" if self.changed_at else ""
        return f"{name}{place}{change}{line}"


def confirmed(carriers: Sequence[Carrier]) -> str:
    """Return the confirmed carriers in one line; "" if there are none."""
    found = [str(each) for each in carriers if each.is_confirmed]
    return f"carried by {' and '.join(found)}" if found else ""


def suspected(carriers: Sequence[Carrier]) -> Iterator[str]:
    """Yield a line for each suspect, and one that counts those that are not shown."""
    suspects = [each for each in carriers if not each.is_confirmed]
    yield from (f"suspect: {each}" for each in suspects[:_SHOWN])
    if len(suspects) > _SHOWN:
        yield f"and {len(suspects) - _SHOWN} more suspects"


def lines(carriers: Sequence[Carrier]) -> Iterator[str]:
    """Yield the lines of a report about carriers: the confirmed ones first."""
    if text := confirmed(carriers):
        yield text
    yield from suspected(carriers)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
