"""English plurals for texts that people read."""

from __future__ import annotations

_ES = ("s", "x", "ch", "sh")


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: ``1 process``, ``3 processes``."""
    return f"{number} {plural(number, noun)}"


def plural(number: int, noun: str) -> str:
    """Return a noun as it stands after ``number``: ``process`` after 1, else ``processes``."""
    if number == 1:
        return noun
    if noun.endswith("y") and noun[-2:-1] not in tuple("aeiou"):
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(_ES) else f"{noun}s"
