"""A server's settings under pytest: options, environment, ini file, marker.

Names and help texts are those of `rpw_fixture.config`; this module only joins the sources. The first
of these wins: call argument, marker, command line, environment, ini file, default.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from rpw_fixture.client.existing_server import (
    ENDPOINT_FORMS,
    OPTIONS,
    ExistingServer,
    from_options,
)
from rpw_fixture.config import Config
from rpw_fixture.config.flags import ENVIRONMENT_PREFIX, Flag, flags, from_environment
from rpw_fixture.errors import ConfigError
from rpw_fixture.plugin import session_report
from rpw_fixture.support.suggestions import did_you_mean

MARKER = "rpw"
MARKER_LINE = (
    f"{MARKER}(**settings): settings of the server that rpw_server and make_rpw_server start for "
    "this test, by the names of rpw_fixture.Config; for example rpw(max_workers_per_key=1)"
)
CHECK_MARKER_LINE = (
    "rpw_check(**options): after the test has passed, check the workers of the actions it ran, as "
    "rpw_server.assert_hermetic(**options) does; for example rpw_check(select='RPW2')"
)
_GROUP = "rpw_fixture"
_ENDPOINT = "rpw_endpoint"
_INI_PREFIX = "rpw_"
#: Settings that make sense only for `serve`.
_NOT_OFFERED = {"listen", "port_file", "idle_timeout", "log_level", "allow_remote", "web"}


def add_options(parser: pytest.Parser) -> None:
    """Add the options and ini values ``--rpw-…`` and ``rpw_…`` for settings and existing servers."""
    group = parser.getgroup(_GROUP, "server with persistent workers (rpw_fixture)")
    group.addoption(
        _option(_ENDPOINT),
        metavar="ENDPOINT",
        help=f"run the tests on this existing server: {ENDPOINT_FORMS} "
        f"[${ENVIRONMENT_PREFIX}ENDPOINT]",
    )
    parser.addini(_ENDPOINT, f"same as {_option(_ENDPOINT)}", default="")
    for option in OPTIONS:
        repeatable: Any = {"action": "append"} if option.is_repeatable else {}
        text = f"with {_option(_ENDPOINT)}: {option.help}"
        group.addoption(option.pytest_name, metavar=option.metavar, help=text, **repeatable)
    session_report.add_option(group)
    for flag in _offered():
        group.addoption(_option(_ini(flag)), **_keywords(flag))
        parser.addini(_ini(flag), flag.help, default="")


def settings_of(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the settings of the command line, else the environment, else the ini file.

    Raises:
        ConfigError: for a value that cannot be used.
    """
    offered = {flag.field: flag for flag in _offered()}
    given = {
        field: flag.parse(str(config.getini(_ini(flag))), _ini(flag))
        for field, flag in offered.items()
        if config.getini(_ini(flag))
    }
    environment = from_environment(environ)
    given.update({field: environment[field] for field in environment.keys() & offered.keys()})
    for field, flag in offered.items():
        value = config.getoption(_ini(flag))
        if value is not None:
            given[field] = tuple(value) if flag.is_repeatable else value
    return given


def config_of(config: pytest.Config) -> Config:
    """Return the server's config from pytest's options, the environment and the ini file.

    Raises:
        pytest.UsageError: for a value that cannot be used, or an unknown name in the ini file.
    """
    _check_ini(config)
    try:
        return Config(**settings_of(config))
    except ConfigError as error:
        raise pytest.UsageError(f"rpw_fixture: {error}") from None


def existing_server_of(
    config: pytest.Config, environ: Mapping[str, str] = os.environ
) -> ExistingServer | None:
    """Return the existing server that the tests use, None if they start their own.

    Raises:
        pytest.UsageError: for an option that cannot be used.
    """
    environment = environ.get(f"{ENVIRONMENT_PREFIX}ENDPOINT", "")
    endpoint = config.getoption(_ENDPOINT) or environment or config.getini(_ENDPOINT)
    given = {each.field: config.getoption(each.pytest_name) for each in OPTIONS}
    if not endpoint:
        useless = [each.pytest_name for each in OPTIONS if given[each.field]]
        if useless:
            raise pytest.UsageError(
                f"rpw_fixture: {useless[0]} is of no use without {_option(_ENDPOINT)}"
            )
        return None
    try:
        return from_options(endpoint, given, {each.field: each.pytest_name for each in OPTIONS})
    except ConfigError as error:
        raise pytest.UsageError(f"rpw_fixture: {error}") from None


def marked_settings(item: pytest.Item) -> dict[str, Any]:
    """Return the settings of a test's markers; the closest marker wins.

    Raises:
        pytest.UsageError: for positional arguments.
    """
    settings: dict[str, Any] = {}
    for mark in reversed(list(item.iter_markers(MARKER))):
        if mark.args:
            raise pytest.UsageError(f"{item.nodeid}: {MARKER} takes keyword arguments only")
        settings.update(mark.kwargs)
    return settings


def check_markers(items: Iterable[pytest.Item], config: Config) -> None:
    """Refuse markers with settings that cannot be used, before any test runs.

    Raises:
        pytest.UsageError: naming the test and the setting.
    """
    for item in items:
        settings = marked_settings(item)
        if settings:
            configured(config, settings, f"{item.nodeid}: marker {MARKER}")


def configured(config: Config, settings: Mapping[str, Any], where: str) -> Config:
    """Return ``config`` with changed settings.

    Args:
        where: place of the settings, for messages.

    Raises:
        pytest.UsageError: for settings that cannot be used, or an override of ``rpw_config`` that
            returns something else.
    """
    if not isinstance(config, Config):
        raise pytest.UsageError(
            f"{where}: the fixture rpw_config returned a {type(config).__name__}, not a Config. "
            "Fix: let it take rpw_config, and return rpw_config.replace(strict=True)"
        )
    try:
        return config.replace(**settings)
    except ConfigError as error:
        raise pytest.UsageError(f"{where}: {error}") from None


def _check_ini(config: pytest.Config) -> None:
    """Refuse unknown ini options that begin with ``rpw_``.

    Raises:
        pytest.UsageError: with a similar name, if there is one.
    """
    known = {_ENDPOINT, *map(_ini, _offered())}
    # There is no public list of the options in a file: since pytest 9, reading `inicfg` warns.
    private = getattr(config, "_inicfg", None)
    for name in config.inicfg if private is None else private:
        if name.startswith(_INI_PREFIX) and name not in known:
            hint = did_you_mean(name, known) or "; 'pytest --help' lists all options"
            raise pytest.UsageError(f"rpw_fixture: unknown ini option {name!r}{hint}")


def _offered() -> list[Flag]:
    return [flag for flag in flags() if flag.field not in _NOT_OFFERED]


def _ini(flag: Flag) -> str:
    return _INI_PREFIX + flag.name.replace("-", "_")


def _option(name: str) -> str:
    return "--" + name.replace("_", "-")


def _keywords(flag: Flag) -> dict[str, Any]:
    keywords: dict[str, Any] = {
        "dest": _ini(flag),
        "default": None,
        "help": f"{flag.help} [${flag.environment}]",
    }
    if flag.kind is bool:
        return keywords | {"action": argparse.BooleanOptionalAction}
    if flag.is_repeatable:
        keywords["action"] = "append"
    if flag.choices:
        return keywords | {"choices": flag.choices}
    return keywords | {"type": flag.kind, "metavar": flag.metavar}
