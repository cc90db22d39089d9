"""Texts for a terminal: names come from clients and workers, and a terminal obeys control characters."""

from __future__ import annotations

from typing import Final

_KEPT: Final = "\n"
_CONTROL: Final = {
    number: "�" for number in (*range(0x20), *range(0x7F, 0xA0)) if chr(number) not in _KEPT
}


def printable(text: str) -> str:
    """Return a text in which line ends are the only control characters."""
    return text.translate(_CONTROL)
