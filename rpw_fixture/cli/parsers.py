"""Parsers of the command line: short help, and a suggestion for every misspelt name."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn

from rpw_fixture.support.suggestions import did_you_mean

#: At the end of a setting's help.
_VARIABLE = re.compile(r" \[\$\w+\]$")
_CHOICE = re.compile(r"argument (\S+): invalid choice: '(.*?)' \(choose from ")


def to_path(text: str) -> Path:
    """Return the path of an argument.

    Raises:
        argparse.ArgumentTypeError: it is empty, as with a variable of the shell that is not set; as a
            `Path` it would be the current folder.
    """
    if not text:
        raise argparse.ArgumentTypeError("the path is empty")
    return Path(text)


class Parser(argparse.ArgumentParser):
    """A parser with a short ``--help``, and suggestions for misspelt flags and values.

    Args:
        **keywords: as of `argparse.ArgumentParser`.
    """

    def __init__(self, **keywords: Any) -> None:
        self._rare: list[argparse.Action] = []
        super().__init__(
            formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False, **keywords
        )
        self._help_all = self.add_argument("--help-all", action=_HelpAll, help=argparse.SUPPRESS)

    def mark_rare(self, *actions: argparse.Action) -> None:
        """Leave arguments out of ``--help``; ``--help-all`` shows them."""
        self._help_all.help = "show all options, and their environment variables, and exit"
        self._rare += actions

    def format_usage(self) -> str:
        """Return the usage in one line."""
        with self._short_usage():
            return super().format_usage()

    def format_help(self) -> str:
        """Return the help without rare arguments and environment variables."""
        texts = [(each, each.help) for each in self._actions]
        for each, text in texts:
            each.help = argparse.SUPPRESS if each in self._rare else _VARIABLE.sub("", text or "")
        try:
            return self.format_whole_help()
        finally:
            for each, text in texts:
                each.help = text

    def format_whole_help(self) -> str:
        """Return the help with all arguments."""
        with self._short_usage():
            return super().format_help()

    def print_whole_help(self) -> None:
        """Print the help with all arguments to stdout; as with ``--help``, its reader may be gone."""
        self._print_message(self.format_whole_help(), sys.stdout)

    def error(self, message: str) -> NoReturn:
        """Print the error, with what may have been meant, and exit with 2."""
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown != message:
            name = unknown.split()[0].partition("=")[0]
            message += did_you_mean(name, self._option_string_actions)
        if wrong := _CHOICE.match(message):
            message += did_you_mean(wrong[2], self._choices(wrong[1]))
        super().error(message)

    def _choices(self, shown: str) -> list[str]:
        """Return what a flag or positional argument accepts."""
        found = [
            map(str, each.choices)
            for each in self._actions
            if each.choices and shown in {"/".join(each.option_strings), each.metavar, each.dest}
        ]
        return [choice for choices in found for choice in choices]

    @contextmanager
    def _short_usage(self) -> Iterator[None]:
        given = self.usage
        if given is None:
            positional = [
                each for each in self._get_positional_actions() if each.help != argparse.SUPPRESS
            ]
            names = [_positional(each) for each in positional]
            self.usage = " ".join(["%(prog)s", "[options]", *names])
        try:
            yield
        finally:
            self.usage = given


class _HelpAll(argparse.Action):
    """``--help-all``."""

    def __init__(self, option_strings: Sequence[str], dest: str, **keywords: Any) -> None:
        super().__init__(option_strings, dest, nargs=0, default=argparse.SUPPRESS, **keywords)

    def __call__(self, parser: argparse.ArgumentParser, *_others: object) -> None:
        """Print the help and end the program."""
        assert isinstance(parser, Parser)
        parser.print_whole_help()
        parser.exit()


def _positional(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest).upper()
    return f"[{name}]" if action.nargs in {"?", "*"} else name
