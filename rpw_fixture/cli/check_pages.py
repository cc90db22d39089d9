"""Texts that ``check`` prints without a suite: the codes, a page about one of them, the schema."""

from __future__ import annotations

import argparse
import json

#: What ``--list`` without a prefix gives.
_ALL = ""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of pages."""
    add = parser.add_argument_group("print something and exit").add_argument
    add("--explain", metavar="CODE", help="explain what a code means, and how to fix it")
    add(
        "--list",
        nargs="?",
        const=_ALL,
        metavar="PREFIX",
        help="list the codes, or those that begin with PREFIX",
    )
    add("--schema", action="store_true", help="print a JSON schema of suite files")


def page(options: argparse.Namespace) -> str | None:
    """Return the page that the options ask for; None if they ask for a check.

    Raises:
        ConfigError: a code does not exist.
    """
    from rpw_fixture.hermeticity.findings import codes, pages  # noqa: PLC0415 - only what is needed
    from rpw_fixture.hermeticity.suites.suite_schema import SCHEMA  # noqa: PLC0415

    if options.explain is not None:
        return pages.as_text(options.explain)
    if options.list is not None:
        return codes.listing(options.list)
    if options.schema:
        return json.dumps(SCHEMA, indent=2, ensure_ascii=False) + "\n"
    return None
