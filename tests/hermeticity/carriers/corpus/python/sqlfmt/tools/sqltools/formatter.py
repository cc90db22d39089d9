"""Breaks a statement before its clauses."""

from sqltools.style import current

_CLAUSES = ("from", "where", "order", "limit")
_KEYWORDS = frozenset(("select", "by", "and", "or", "as", *_CLAUSES))


def _spell(word):
    if word.lower() not in _KEYWORDS:
        return word
    return word.upper() if current.get().keyword_case == "upper" else word.lower()


def format_statement(text):
    pieces = []
    for word in text.split():
        if word.lower() in _CLAUSES:
            pieces.append("\n" + " " * current.get().indent)
        elif pieces:
            pieces.append(" ")
        pieces.append(_spell(word))
    return "".join(pieces)
