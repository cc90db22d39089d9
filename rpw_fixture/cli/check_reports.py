"""The reports that ``check`` writes: ``--format NAME[=FILE]`` and ``--output FILE``."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rpw_fixture.cli import standard_streams
from rpw_fixture.cli.parsers import to_path
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.support.output_files import require_room
from rpw_fixture.support.suggestions import did_you_mean

if TYPE_CHECKING:
    from rpw_fixture.hermeticity.findings.report import Report

_FINDINGS = "rpw_fixture.hermeticity.findings"
#: Formats: name, and the function that takes a `Report` and returns the text, as ``module:function``.
#: A function is loaded when its format is asked for.
FORMATS = {
    "text": f"{_FINDINGS}.text:render",
    "json": f"{_FINDINGS}.formats:as_json",
    "junit": f"{_FINDINGS}.formats:as_junit",
    "github": f"{_FINDINGS}.formats:as_github",
    "sarif": f"{_FINDINGS}.sarif:as_sarif",
    "markdown": f"{_FINDINGS}.markdown:as_markdown",
    "html": "rpw_fixture.report.check_page:render",
}
TEXT = "text"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of reports."""
    add = parser.add_argument
    add(
        "--format",
        action="append",
        default=[],
        type=_parsed,
        metavar="NAME[=FILE]",
        help=f"report format, and the file it is written to (repeatable): {', '.join(FORMATS)}; "
        "default: text. One format has no FILE and goes to stdout; if all have one, text does",
    )
    add("--output", type=to_path, metavar="FILE", help="write to FILE what would go to stdout")
    add(
        "--report",
        type=to_path,
        metavar="FILE",
        help="write a page to FILE, as --format html=FILE does",
    )


@dataclass(frozen=True, slots=True)
class WantedReport:
    """A report to write.

    Attributes:
        name: its format.
        path: the file to write; None for stdout.
        option: the option that asks for it, as messages show it.
    """

    name: str
    path: Path | None
    option: str

    def require_room(self) -> None:
        """Raise before the run what would prevent writing after it."""
        if self.path is not None:
            require_room(self.option, self.path)

    def write(self, report: Report) -> None:
        """Write the report.

        Raises:
            EnvironmentLacksError: it can't be written.
        """
        write(self._render(report), self.path, self.option)

    def _render(self, report: Report) -> str:
        module, _, function = FORMATS[self.name].partition(":")
        render = getattr(importlib.import_module(module), function)
        if self.name == TEXT and self.path is None:
            from rpw_fixture.hermeticity.findings.text import is_coloured  # noqa: PLC0415 - as above

            return str(render(report, is_coloured=is_coloured(sys.stdout, os.environ)))
        return str(render(report))


def wanted(options: argparse.Namespace) -> Sequence[WantedReport]:
    """Return the reports that the options ask for.

    Raises:
        ConfigError: two of them would go to stdout.
    """
    given: list[tuple[str, Path | None]] = options.format
    without_file = [name for name, path in given if path is None]
    if len(without_file) > 1:
        where = f"--output {options.output}" if options.output is not None else "stdout"
        raise ConfigError(
            f"--format {without_file[0]} and --format {without_file[1]} would both go to {where}; "
            f"give one of them a file: --format {without_file[1]}=FILE"
        )
    is_text_in_file = any(name == TEXT for name, _ in given)
    if not without_file and (not is_text_in_file or options.output is not None):
        given = [*given, (TEXT, None)]
    found = [_placed(name, path, options.output) for name, path in given]
    if options.report is not None:
        found.append(WantedReport("html", options.report, f"--report {options.report}"))
    return found


def _placed(name: str, path: Path | None, output: Path | None) -> WantedReport:
    if path is not None:
        return WantedReport(name, path, f"--format {name}={path}")
    return WantedReport(name, output, "stdout" if output is None else f"--output {output}")


def _parsed(text: str) -> tuple[str, Path | None]:
    name, equals, path = text.partition("=")
    if name not in FORMATS:
        raise argparse.ArgumentTypeError(
            f"there is no format {name!r}{did_you_mean(name, FORMATS)}; formats: {', '.join(FORMATS)}"
        )
    if equals and not path:
        raise argparse.ArgumentTypeError(f"{text!r} names no file after the equals sign")
    return name, Path(path) if equals else None


def write(text: str, path: Path | None, option: str) -> None:
    """Write a text to a file, or to stdout, whose reader may have gone.

    Raises:
        EnvironmentLacksError: it can't be written; the message names ``option``.
    """
    if path is None:
        standard_streams.write(text)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise EnvironmentLacksError(f"{option}: {error.strerror}") from None
