"""Suggestions for misspelt names."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return ``; did you mean 'NAME'?`` for the most similar known name; "" when none is similar.

    Args:
        name: the misspelt name.
        known: all valid names.
        cutoff: how similar two names must be, from 0 to 1.
    """
    import difflib  # noqa: PLC0415 - needed after a mistake only

    close = difflib.get_close_matches(name, list(known), 1, cutoff)
    return f"; did you mean {close[0]!r}?" if close else ""
