"""A summary in Markdown, for the job summary of a CI system."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from rpw_fixture.report.figures import Figures, figures_of
from rpw_fixture.report.inputs import Inputs

_ESCAPED = {ord(each): f"\\{each}" for each in "\\`*_{}[]<>#|~"}


def render(inputs: Inputs) -> str:
    """Return headings, tables and lists."""
    return "\n".join(_lines(figures_of(inputs))) + "\n"


def _lines(figures: Figures) -> Iterator[str]:
    if figures.problems:
        yield from (
            "> **About the inputs**",
            *(f"> - {_text(each)}" for each in figures.problems),
            "",
        )
    for section in figures.sections:
        yield from (f"### {_text(section.title)}", "")
        if section.remark:
            yield from (_text(section.remark), "")
        if section.rows:
            yield from _table(section.columns, section.rows)
            yield ""


def _table(columns: Iterable[str], rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    names = list(columns)
    yield _row(names)
    yield _row("---" for _ in names)
    for each in rows:
        yield _row(_text(cell) for cell in each)


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _text(value: object) -> str:
    """Return text in which nothing is markup: names of targets may hold anything."""
    return " ".join(str(value).translate(_ESCAPED).split())
