"""``completion``: print a script with which bash, zsh or fish completes this command line."""

from __future__ import annotations

import argparse
from importlib import import_module

from rpw_fixture.cli.standard_streams import write

#: Shells, and where their users put the script.
PLACES = {
    "bash": "~/.local/share/bash-completion/completions/rpw-fixture",
    "zsh": "a folder of $fpath, as the file _rpw-fixture",
    "fish": "~/.config/fish/completions/rpw-fixture.fish",
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the shell."""
    parser.add_argument("shell", choices=tuple(PLACES), help="the shell")
    parser.epilog = "Put what it prints into:\n" + "\n".join(
        f"  {shell:<5} {place}" for shell, place in PLACES.items()
    )


def run(options: argparse.Namespace) -> int:
    """Print the script; return 0."""
    scripts = import_module("rpw_fixture.cli.completion_scripts")
    write(scripts.SCRIPTS[options.shell]())
    return 0
