"""A summary as plain text."""

from __future__ import annotations

from collections.abc import Iterator

from rpw_fixture.report.figures import Section, figures_of
from rpw_fixture.report.inputs import Inputs
from rpw_fixture.support.printable import printable

_WIDEST = 90


def render(inputs: Inputs) -> str:
    """Return headings and aligned columns."""
    figures = figures_of(inputs)
    lines = [f"note: {_clean(each)}" for each in figures.problems]
    if lines:
        lines.append("")
    for section in figures.sections:
        lines += [*_section(section), ""]
    return "\n".join(lines)


def _section(section: Section) -> Iterator[str]:
    yield _clean(section.title)
    if section.remark:
        yield f"  {_clean(section.remark)}"
    rows = [[_clean(str(cell)) for cell in row] for row in (section.columns, *section.rows)]
    if not section.rows:
        return
    widths = [min(_WIDEST, max(map(len, column))) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        yield f"  {'  '.join(cells)}".rstrip()


def _clean(text: str) -> str:
    """Return text without control characters, which a terminal would obey."""
    return printable(text.replace("\n", " "))
