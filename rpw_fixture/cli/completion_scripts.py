"""Completion scripts for shells, made from the parsers of all subcommands."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from rpw_fixture import cli

_DEFAULT = "serve"  # the subcommand of a command line without one
_FILE_WORDS = re.compile(r"FILE|DIR|PATH|SUITE|INPUT|FOLDER", re.IGNORECASE)


@dataclass(frozen=True)
class _Option:
    """A flag, or a positional argument (without names)."""

    names: tuple[str, ...]
    help: str
    takes_value: bool
    choices: tuple[str, ...]
    is_file: bool


def bash() -> str:
    """Return the script for bash."""
    lines = ["# Completes rpw-fixture in bash.", "_rpw_fixture() {"]
    lines.append("    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}")
    lines += ["    local command=${COMP_WORDS[1]} index names=''", "    COMPREPLY=()"]
    # bash cuts --flag=value into three words.
    lines.append("    [[ $previous == = ]] && previous=${COMP_WORDS[COMP_CWORD-2]}")
    lines.append("    [[ $word == = ]] && word=''")
    # Behind -- is another command.
    lines.append("    for ((index = 1; index < COMP_CWORD; index++)); do")
    lines.append("        [[ ${COMP_WORDS[index]} == -- ]] && compopt -o default && return")
    lines += ["    done", "    if ((COMP_CWORD == 1)); then"]
    lines += [f"        names={_words(cli.COMMANDS)}", "    fi", "    case $command in"]
    for command in cli.COMMANDS:
        pattern = f"{command} | -* | ''" if command == _DEFAULT else command
        lines += [f"        {pattern})", *_bash_case(command), "            ;;"]
    lines += ["    esac", '    COMPREPLY=($(compgen -W "$names" -- "$word"))']
    lines += ["    [[ $word == -* ]] || ((${#COMPREPLY[@]})) || compopt -o default", "}"]
    lines.append("complete -F _rpw_fixture rpw-fixture")
    return "\n".join(lines) + "\n"


def _bash_case(command: str) -> Iterator[str]:
    options = list(_options(command))
    yield "            case $previous in"
    for each in options:
        if each.names and each.takes_value:
            answer = (
                f'COMPREPLY=($(compgen -W {_words(each.choices)} -- "$word"))'
                if each.choices
                else "compopt -o default"
            )
            yield f"                {'|'.join(each.names)}) {answer}; return ;;"
    yield "            esac"
    names = [name for each in options for name in each.names]
    choices = [choice for each in options if not each.names for choice in each.choices]
    yield f"            if [[ $word == -* ]]; then names={_words(names)}"
    yield f"            elif ((COMP_CWORD > 1)); then names={_words(choices)}; fi"


def zsh() -> str:
    """Return the script for zsh."""
    lines = ["#compdef rpw-fixture", "# Completes rpw-fixture in zsh.", "_rpw_fixture() {"]
    lines.append("    local -a commands=(")
    lines += [f"        {shlex.quote(f'{name}:{text}')}" for name, text in cli.COMMANDS.items()]
    lines += ["    )", "    local command=$words[2]"]
    lines.append("    if ((CURRENT == 2)) && [[ $words[2] != -* ]]; then")
    lines += ["        _describe command commands", "        return", "    fi"]
    lines += ["    if [[ $command == -* ]]; then command=" + _DEFAULT]
    lines += ["    else shift words; ((CURRENT--)); fi", "    case $command in"]
    for command in cli.COMMANDS:
        lines += [f"        {command})", "            _arguments \\"]
        specifications = [text for each in _options(command) for text in _zsh(each)]
        lines += [f"                {shlex.quote(each)} \\" for each in specifications]
        lines[-1] = lines[-1].removesuffix(" \\")
        lines.append("            ;;")
    lines += ["    esac", "}", "if [[ $funcstack[1] == _rpw-fixture ]]; then _rpw_fixture"]
    lines.append("else compdef _rpw_fixture rpw-fixture; fi")
    return "\n".join(lines) + "\n"


def _zsh(option: _Option) -> Iterator[str]:
    text = re.sub(r"([\[\]:\\])", r"\\\1", option.help)
    action = (
        f"({' '.join(option.choices)})" if option.choices else "_files" if option.is_file else " "
    )
    value = f":value:{action}" if option.takes_value else ""
    for name in option.names:
        yield f"*{name}[{text}]{value}"
    if not option.names:
        yield f"*:{text}:{action}"


def fish() -> str:
    """Return the script for fish."""
    lines = ["# Completes rpw-fixture in fish.", "complete -c rpw-fixture -f"]
    first = "not __fish_seen_subcommand_from " + " ".join(cli.COMMANDS)
    for name, text in cli.COMMANDS.items():
        lines.append(_fish(first, f"-a {name}", text))
    for command in cli.COMMANDS:
        condition = f"__fish_seen_subcommand_from {command}"
        if command == _DEFAULT:
            condition = f"{condition}; or {first}"
        for each in _options(command):
            lines += [_fish(condition, words, each.help) for words in _fish_words(each)]
    return "\n".join(lines) + "\n"


def _fish(condition: str, words: str, text: str) -> str:
    return f"complete -c rpw-fixture -n {shlex.quote(condition)} {words} -d {_fish_quoted(text)}"


def _fish_quoted(text: str) -> str:
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _fish_words(option: _Option) -> Iterator[str]:
    choices = f"-a {shlex.quote(' '.join(option.choices))}" if option.choices else ""
    for name in option.names:
        letter = "-l" if name.startswith("--") else "-s"
        value = ""
        if option.takes_value:
            value = f" -x {choices}" if option.choices else " -r -F" if option.is_file else " -x"
        yield f"{letter} {name.lstrip('-')}{value}"
    if not option.names:
        yield choices or "-F"


def _options(command: str) -> Iterator[_Option]:
    for each in cli.parser_of(command)._actions:  # noqa: SLF001 - argparse has no public list
        shown = str(each.metavar or each.dest)
        if each.help == argparse.SUPPRESS:
            continue
        text = each.help or ""
        yield _Option(
            names=tuple(each.option_strings),
            help=re.split(r" \(default| \[\$", text.replace("%%", "%"))[0],
            takes_value=each.nargs != 0,
            choices=tuple(map(str, each.choices or ())),
            is_file=_FILE_WORDS.search(shown) is not None,
        )


def _words(words: Iterable[str]) -> str:
    return shlex.quote(" ".join(words))


SCRIPTS: dict[str, Callable[[], str]] = {"bash": bash, "zsh": zsh, "fish": fish}
