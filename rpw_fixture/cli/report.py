"""``report``: show what workers did, as a page, a trace or text."""

from __future__ import annotations

import argparse

from rpw_fixture.cli.parsers import to_path
from rpw_fixture.support.output_files import require_different

_FORMATS = ("html", "trace", "markdown", "text")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``report``."""
    parser.epilog = (
        "html: one file that needs no network. trace: for Perfetto (ui.perfetto.dev) or chrome://tracing.\n"
        "markdown: for the job summary of a CI system. Inputs may be mixed; two of a kind are compared."
    )
    add = parser.add_argument
    add(
        "inputs",
        nargs="+",
        type=to_path,
        metavar="INPUT",
        help="an events file (serve --events), the JSON of check, or a folder made by --record",
    )
    add("--output", type=to_path, required=True, metavar="FILE", help="write the report to FILE")
    add("--format", choices=_FORMATS, default="html", help="format of the report (default: html)")


def run(options: argparse.Namespace) -> int:
    """Read the inputs and write the report."""
    from rpw_fixture.report import inputs, write  # noqa: PLC0415 - --help needs none of it

    output = options.output
    require_different(
        [(f"--output {output}", output)], [(str(each), each) for each in options.inputs]
    )
    write.write(inputs.read(options.inputs), options.output, options.format)
    return 0
