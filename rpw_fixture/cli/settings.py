"""The settings of a server as flags, made from the fields of `Config`."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Mapping
from typing import Any

from rpw_fixture.cli.parsers import Parser
from rpw_fixture.config import Config
from rpw_fixture.config.flags import Flag, flags, from_environment

#: Where ``serve`` listens by default.
DEFAULT_LISTEN = "127.0.0.1:8980"
#: Fields of the settings in the short help.
_COMMON = {"listen", "port_file", "jobs", "max_workers_per_key", "worker_idle_timeout", "web"}
_COMMON |= {"default_protocol", "tool_inputs", "personality", "allow_docker", "isolation"}
_COMMON |= {"root", "events", "record", "summary", "idle_timeout"}


def add_settings(parser: argparse.ArgumentParser, *, listen: str = DEFAULT_LISTEN) -> None:
    """Add every setting as a flag; the long help names its environment variable.

    Args:
        parser: gets the flags.
        listen: default address.
    """
    for flag in flags():
        action = parser.add_argument(f"--{flag.name}", **_keywords(flag, listen))
        if isinstance(parser, Parser) and flag.field not in _COMMON:
            parser.mark_rare(action)


def config_of(
    options: argparse.Namespace,
    environ: Mapping[str, str] = os.environ,
    *,
    listen: str = DEFAULT_LISTEN,
) -> Config:
    """Return the config from flags, else environment variables, else defaults.

    Raises:
        ConfigError: for a value that cannot be used.
    """
    given = {"listen": listen, **from_environment(environ)}
    for flag in flags():
        value = getattr(options, flag.field)
        if value is not None:
            given[flag.field] = tuple(value) if flag.is_repeatable else value
    return Config(**given)


def start_logging(config: Config) -> None:
    """Write log lines of the configured level to stderr."""
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
    )


def _keywords(flag: Flag, listen: str) -> dict[str, Any]:
    shown = listen if flag.field == "listen" else flag.default
    default = (
        "" if shown in (None, (), False) or flag.kind is bool else f" (default: {_shown(shown)})"
    )
    keywords: dict[str, Any] = {
        "dest": flag.field,
        "default": None,
        "help": f"{flag.help}{default} [${flag.environment}]",
    }
    if flag.kind is bool:
        return keywords | {"action": argparse.BooleanOptionalAction}
    if flag.is_repeatable:
        keywords["action"] = "append"
    if flag.choices:
        keywords["choices"] = flag.choices
    return keywords | {"type": flag.kind, "metavar": None if flag.choices else flag.metavar}


def _shown(value: object) -> object:
    return " ".join(map(str, value)) if isinstance(value, tuple) else value
