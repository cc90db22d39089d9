"""``trial``: answer the question in the working directory; `check --executor` runs it on a cluster."""

from __future__ import annotations

import argparse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no options: the question is a file."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Answer the question."""
    del options
    from rpw_fixture.hermeticity.trials.far import program  # noqa: PLC0415 - heavy

    return program.main()
