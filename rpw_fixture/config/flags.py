"""The syntax of settings outside of Python: flags, environment variables, ini options."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from rpw_fixture.config import Config, checks
from rpw_fixture.config.values import Values
from rpw_fixture.errors import ConfigError
from rpw_fixture.support.suggestions import did_you_mean

#: Prefix of environment variables: ``--max-workers`` is RPW_FIXTURE_MAX_WORKERS.
ENVIRONMENT_PREFIX = "RPW_FIXTURE_"
#: Similarity from which a variable counts as misspelt, from 0 to 1. All have the same prefix.
_SIMILAR = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """The command-line flag of a setting."""

    name: str
    field: str
    help: str
    kind: Callable[[str], Any]
    default: Any
    metavar: str | None
    values: Values

    @property
    def choices(self) -> tuple[str, ...]:
        """The only texts that it accepts; empty for any text."""
        return self.values.choices

    @property
    def environment(self) -> str:
        """The environment variable with the same meaning."""
        return ENVIRONMENT_PREFIX + self.name.upper().replace("-", "_")

    @property
    def is_repeatable(self) -> bool:
        """Whether the flag may be given several times."""
        return isinstance(self.default, tuple)

    def parse(self, text: str, name: str | None = None) -> Any:
        """Return the value in the text of an environment variable or ini option.

        Args:
            text: the text.
            name: name of the variable or option for messages, by default the environment variable.

        Raises:
            ConfigError: when the text is not a valid value.
        """
        name = name or self.environment
        if self.kind is bool:
            return _parse_bool(text, name)
        parts = text.split() if self.is_repeatable else [text]
        try:
            values = [self.kind(part) for part in parts]
        except ValueError:
            what = "whole number" if self.kind is int else "number"
            raise ConfigError(f"{name}={text!r} is not a {what}") from None
        return self.values.checked(tuple(values) if self.is_repeatable else values[0], name)


def flags() -> list[Flag]:
    """Return all settings that are flags, in the order of `Config`."""
    return [
        Flag(
            name=each.metadata["flag"] or each.name.replace("_", "-"),
            field=each.name,
            help=each.metadata["help"],
            kind=each.metadata["kind"],
            default=each.default,
            metavar=each.metadata["metavar"],
            values=each.metadata["values"],
        )
        for each in dataclasses.fields(Config)
        if each.metadata["kind"] is not None
    ]


def from_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings given as ``RPW_FIXTURE_…`` variables.

    Raises:
        ConfigError: for an invalid value, and for an unknown name that looks misspelt.
    """
    known = {flag.environment: flag for flag in flags()}
    for name in environ:
        if name.startswith(ENVIRONMENT_PREFIX) and name not in known:
            _check_variable(name, known)
    return {
        flag.field: flag.parse(environ[name], name)
        for name, flag in known.items()
        if environ.get(name)
    }


def _check_variable(name: str, known: Iterable[str]) -> None:
    """Raise for an unknown variable, if it is similar to a known one.

    Variables that are similar to no setting may belong to another program: a test suite, a script.

    Raises:
        ConfigError: with the right name.
    """
    field_name = name.removeprefix(ENVIRONMENT_PREFIX).lower()
    if field_name in checks():
        raise ConfigError(
            f"{name}: the setting {field_name!r} has no environment variable. Fix: pass it to Config, "
            "Server or the marker rpw"
        )
    hint = did_you_mean(name, known, _SIMILAR)
    if hint:
        raise ConfigError(f"unknown environment variable {name}{hint}")


def _parse_bool(text: str, name: str) -> bool:
    values = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
    try:
        return values[text.lower()]
    except KeyError:
        raise ConfigError(f"{name}={text!r}: write 1 or 0") from None
