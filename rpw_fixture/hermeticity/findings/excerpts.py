"""Excerpts of long texts, such as stack traces: the head says what failed, the tail says why."""

from __future__ import annotations

#: The share of an excerpt that the head gets.
_HEAD = 1 / 3


def head_and_tail(text: str, most: int = 1500) -> str:
    """Return a text without white space around it, and without its middle if it is long.

    Args:
        text: the text.
        most: number of characters that are kept, roughly: lines are kept whole where they are short.
    """
    text = text.strip()
    if len(text) <= most:
        return text
    room = int(most * _HEAD)
    head, tail = text[:room], text[len(text) - (most - room) :]
    if "\n" in head:
        head = head.rpartition("\n")[0]
    if "\n" in tail:
        tail = tail.partition("\n")[2]
    left_out = text[len(head) : len(text) - len(tail)]
    lines = left_out.strip("\n").count("\n") + 1
    size = f"{lines} lines" if lines > 1 else f"{len(left_out)} characters"
    return f"{head}\n… {size} left out …\n{tail}"
