"""The command line: one module for each subcommand, which parses and prints and decides nothing.

Exit codes of every subcommand: 0 fine, 1 findings or failed actions, 2 wrong use, 3 the environment
lacks something.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from rpw_fixture._version import __version__
from rpw_fixture.cli.signals import Interrupted
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.support.suggestions import did_you_mean

#: Subcommands and what they are for. Each is a module here with `add_arguments` and `run`.
COMMANDS = {
    "serve": "run a server until it is told to stop (the default)",
    "check": "find what a worker's state does to outputs",
    "demo": "show worker reuse, a restart and a state leak in a few seconds",
    "doctor": "say what this machine offers",
}
WRONG_USE, ENVIRONMENT_LACKS = 2, 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command line; the process's exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    name, options = parse(given)
    try:
        code: int = _module(name).run(options)
    except ConfigError as error:
        return _complain(name, error, WRONG_USE)
    except EnvironmentLacksError as error:
        return _complain(name, error, ENVIRONMENT_LACKS)
    except Interrupted as error:
        return _complain(name, error, error.exit_code)
    return code


def parse(given: Sequence[str]) -> tuple[str, argparse.Namespace]:
    """The subcommand that a command line names, and its options.

    Raises:
        SystemExit: 2 for what can't be understood, 0 after ``--help`` and ``--version``.
    """
    name, rest = _command(list(given))
    if name is None:
        _overview().parse_args(given)
        raise SystemExit(WRONG_USE)
    parser = _Parser(
        prog=f"rpw-fixture {name}",
        description=COMMANDS[name],
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    _module(name).add_arguments(parser)
    return name, parser.parse_args(rest)


class _Parser(argparse.ArgumentParser):
    """Says what may be meant by a flag that is none."""

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and exit with 2."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            name = unknown.split()[0].partition("=")[0]
            message += did_you_mean(name, self._option_string_actions)
        super().error(message)


def _module(name: str) -> Any:
    return importlib.import_module(f"rpw_fixture.cli.{name}")


def _command(given: list[str]) -> tuple[str | None, list[str]]:
    """The subcommand and its arguments; ``serve`` when the first argument is a flag of it."""
    first = given[0] if given else ""
    if first in COMMANDS:
        return first, given[1:]
    if first in {"-h", "--help", "--version"} or (first and not first.startswith("-")):
        return None, given
    return "serve", given


def _overview() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="rpw-fixture",
        description="A real REAPI server with real remote persistent workers.",
        epilog="Without a subcommand: serve. 'rpw-fixture COMMAND --help' tells its options.",
    )
    parser.add_argument("--version", action="version", version=f"rpw_fixture {__version__}")
    commands = parser.add_subparsers(title="subcommands", metavar="COMMAND")
    for name, purpose in COMMANDS.items():
        commands.add_parser(name, help=purpose, add_help=False)
    return parser


def _complain(name: str, error: BaseException, code: int) -> int:
    print(f"rpw-fixture {name}: {error}", file=sys.stderr)
    return code
