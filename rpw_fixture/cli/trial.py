"""``trial``: answer the question in the working directory; `check --executor` runs it on a cluster."""

from __future__ import annotations

import argparse

from rpw_fixture.errors import ConfigError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add no options: the question is a file."""
    del parser


def run(options: argparse.Namespace) -> int:
    """Answer the question."""
    del options
    from rpw_fixture.hermeticity.trials.far import program  # noqa: PLC0415 - heavy

    try:
        return program.main()
    except (OSError, ValueError) as error:
        raise ConfigError(f"the question here can't be answered: {error}") from None
