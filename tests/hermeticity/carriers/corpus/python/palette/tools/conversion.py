"""Colours as numbers, with a memory of those that were converted before."""

import colorsys
from functools import lru_cache

_known = {}


def parse(text):
    """Red, green and blue of #rrggbb."""
    if text not in _known:
        if not text.startswith("#") or len(text) != 7:
            raise ValueError(text)
        if len(_known) >= 500:
            _known.clear()
        _known[text] = tuple(int(text[at : at + 2], 16) for at in (1, 3, 5))
    return _known[text]


@lru_cache(maxsize=500)
def hue(colour):
    return colorsys.rgb_to_hsv(*(each / 255 for each in colour))


def css(colour, buffer=[]):  # noqa: B006 - emptied before each use
    buffer.clear()
    buffer.extend(f"{each}" for each in colour)
    return f"rgb({', '.join(buffer)})"
