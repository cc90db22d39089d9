"""The command line: one module for each subcommand, which only parses options and prints results.

Exit codes of every subcommand: 0 fine, 1 findings or failed actions, 2 wrong use, 3 the environment
lacks something (`exit_codes`).
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any

from rpw_fixture._version import __version__
from rpw_fixture.cli import standard_streams
from rpw_fixture.cli.exit_codes import ENVIRONMENT_LACKS, WRONG_USE
from rpw_fixture.cli.parsers import Parser
from rpw_fixture.errors import ConfigError, EnvironmentLacksError, Interrupted
from rpw_fixture.support.program_form import program_form

#: Subcommands and their purposes. Each is a module here with `add_arguments` and `run`.
COMMANDS = {
    "serve": "run a server until SIGTERM or Ctrl-C (the default)",
    "run": "run a command with a server around it, and say what its actions did",
    "explain": "say where an action ran and why, from the events of an earlier run",
    "check": "test a worker for state leaks and protocol errors",
    "report": "write a page, a trace or a summary of what workers did",
    "init": "write a worker, a suite, a test and a Bazel rule that run",
    "record": "record what a build tool and a worker say to each other",
    "demo": "show worker reuse, a restart and a state leak in a few seconds",
    "doctor": "show what this machine offers: isolation, containers, programs",
    "completion": "print a script with which a shell completes this command line",
}
#: Subcommands for other programs; no list of subcommands shows them.
HIDDEN = {"trial": "answer the question of check --executor in the working directory"}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code of the process."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    standard_streams.open_closed()
    name, options = parse(given)
    try:
        code: int = _module(name).run(options)
    except ConfigError as error:
        return _fail(name, error, WRONG_USE)
    except EnvironmentLacksError as error:
        return _fail(name, error, ENVIRONMENT_LACKS)
    except Interrupted as error:
        return _fail(name, error, error.exit_code)
    return code


def parse(given: Sequence[str]) -> tuple[str, argparse.Namespace]:
    """Return the subcommand in a command line, and its options.

    Raises:
        SystemExit: 2 for wrong use, 0 after ``--help`` and ``--version``.
    """
    name, rest = _command(list(given))
    if name is None:
        _overview().parse_args(given)
        raise SystemExit(WRONG_USE)
    return name, parser_of(name).parse_args(rest)


def parser_of(name: str) -> Parser:
    """Return the parser of a subcommand."""
    parser = Parser(prog=f"rpw-fixture {name}", description=(COMMANDS | HIDDEN)[name])
    _module(name).add_arguments(parser)
    return parser


def _module(name: str) -> Any:
    return importlib.import_module(f"rpw_fixture.cli.{name}")


def _command(given: list[str]) -> tuple[str | None, list[str]]:
    """Return the subcommand and its arguments; ``serve`` if the first argument is a flag."""
    first = given[0] if given else ""
    if first in COMMANDS or first in HIDDEN:
        return first, given[1:]
    if first in {"-h", "--help", "--version"} or (first and not first.startswith("-")):
        return None, given
    return "serve", given


def _overview() -> Parser:
    parser = Parser(
        prog="rpw-fixture",
        usage="%(prog)s COMMAND [options]",
        description="An REAPI server with real remote persistent workers, for tests and CI.",
        epilog="Without a subcommand: serve. 'rpw-fixture COMMAND --help' lists its options.",
    )
    version = f"rpw_fixture {__version__} ({program_form()})"
    parser.add_argument("--version", action="version", version=version)
    commands = parser.add_subparsers(title="subcommands", metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


def _fail(name: str, error: BaseException, code: int) -> int:
    print(f"rpw-fixture {name}: {error}", file=sys.stderr)
    return code
