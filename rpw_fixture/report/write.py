"""Write a report in one of its formats."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.report import markdown, page, text, trace
from rpw_fixture.report.inputs import Inputs, row_of

if TYPE_CHECKING:
    from rpw_fixture.events.kinds import Event

FORMATS: Final[dict[str, Callable[[Inputs], str]]] = {
    "html": page.render,
    "trace": trace.render,
    "markdown": markdown.render,
    "text": text.render,
}


def write(inputs: Inputs, path: Path, format_: str = "html", option: str = "--output") -> None:
    """Write a report to a file.

    Args:
        inputs: what it shows.
        path: the file, which is replaced.
        format_: a name of `FORMATS`.
        option: the option that named the file, for messages.

    Raises:
        EnvironmentLacksError: if the file can't be written.
    """
    content = FORMATS[format_](inputs)
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise EnvironmentLacksError(f"{option} {path}: {error.strerror}") from None


def write_report(
    events: Iterable[Event],
    path: Path,
    format_: str = "html",
    option: str = "--report",
    name: str = "run",
) -> None:
    """Write a report of a server's events, such as ``server.events.snapshot()``.

    Raises:
        EnvironmentLacksError: if the file can't be written.
    """
    run = row_of(list(events), name)
    write(Inputs(runs=[run], problems=run["notes"]), path, format_, option)
