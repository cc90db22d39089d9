"""How statements look."""

from contextvars import ContextVar
from typing import NamedTuple


class Style(NamedTuple):
    """A style; each word of `from_words` is KEY:VALUE."""

    keyword_case: str = "upper"
    indent: int = 2

    @classmethod
    def from_words(cls, words):
        values = dict(each.split(":", 1) for each in words)
        unknown = set(values) - {"case", "indent"}
        if unknown:
            raise ValueError(f"unknown style {sorted(unknown)}")
        return cls(values.get("case", "upper"), int(values.get("indent", 2)))


current = ContextVar("current", default=Style())
