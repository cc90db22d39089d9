"""Where a server's settings come from under pytest: options, environment, ini file, marker.

The names and help texts are those of `rpw_fixture.config`; this module only joins the sources. The
order is: call argument, marker, command line, environment, ini file, default.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping
from typing import Any

import pytest

from rpw_fixture.config import Config
from rpw_fixture.config.flags import ENVIRONMENT_PREFIX, Flag, flags, from_environment
from rpw_fixture.errors import ConfigError
from rpw_fixture.support.suggestions import did_you_mean

MARKER = "rpw"
MARKER_LINE = (
    f"{MARKER}(**settings): settings of the server that rpw_server and make_rpw_server start for "
    "this test, by the names of rpw_fixture.Config; for example rpw(max_workers_per_key=1)"
)
CHECK_MARKER_LINE = (
    "rpw_check(**options): when the test has passed, check the workers of the actions it ran, as "
    "rpw_server.assert_hermetic(**options) does; for example rpw_check(select='RPW2')"
)
_GROUP = "rpw_fixture"
_ENDPOINT = "rpw_endpoint"
#: Options beside the endpoint, and the arguments of `Client` that they are.
_ENDPOINT_OPTIONS = {
    "rpw_endpoint_instance": ("instance_name", "NAME", "instance name for --rpw-endpoint"),
    "rpw_endpoint_ca": ("tls_ca", "FILE", "certificates to trust with --rpw-endpoint grpcs://…"),
    "rpw_endpoint_cert": ("tls_cert", "FILE", "client certificate for --rpw-endpoint"),
    "rpw_endpoint_key": ("tls_key", "FILE", "private key of --rpw-endpoint-cert"),
}
_INI_PREFIX = "rpw_"
_HEADERS = "rpw_endpoint_header"
#: Settings that make sense for a server that runs on its own only.
_NOT_OFFERED = {"listen", "port_file", "idle_timeout", "log_level", "allow_remote"}


def add_options(parser: pytest.Parser) -> None:
    """Adds ``--rpw-…`` options and ``rpw_…`` ini values for every setting, and the endpoint's."""
    group = parser.getgroup(_GROUP, "server with persistent workers (rpw_fixture)")
    group.addoption(
        _option(_ENDPOINT),
        metavar="ENDPOINT",
        help="run against this server instead of one of our own: grpc://HOST:PORT, grpcs://… "
        f"[${ENVIRONMENT_PREFIX}ENDPOINT]",
    )
    parser.addini(_ENDPOINT, f"as {_option(_ENDPOINT)}", default="")
    for name, (_, metavar, text) in _ENDPOINT_OPTIONS.items():
        group.addoption(_option(name), metavar=metavar, help=text)
    group.addoption(
        _option(_HEADERS),
        action="append",
        metavar="NAME=VALUE",
        help="metadata of every call to --rpw-endpoint (repeatable)",
    )
    for flag in _offered():
        group.addoption(_option(_ini(flag)), **_keywords(flag))
        parser.addini(_ini(flag), flag.help, default="")


def settings_of(config: pytest.Config, environ: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """The settings given on the command line, else in the environment, else in the ini file.

    Raises:
        ConfigError: for a value that can't be read.
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
    """The server's config as pytest was told.

    Raises:
        pytest.UsageError: for a value that can't be used, or an unknown name in the ini file.
    """
    _check_ini(config)
    try:
        return Config(**settings_of(config))
    except ConfigError as error:
        raise pytest.UsageError(f"rpw_fixture: {error}") from None


def endpoint_of(
    config: pytest.Config, environ: Mapping[str, str] = os.environ
) -> tuple[str, dict[str, Any]]:
    """The existing server to use, or nothing, and the arguments for a `Client` of it.

    Raises:
        pytest.UsageError: for a header without a value.
    """
    environment = environ.get(f"{ENVIRONMENT_PREFIX}ENDPOINT", "")
    endpoint = config.getoption(_ENDPOINT) or environment or config.getini(_ENDPOINT)
    options = {
        argument: config.getoption(name)
        for name, (argument, _, _) in _ENDPOINT_OPTIONS.items()
        if config.getoption(name)
    }
    headers: dict[str, str] = {}
    for text in config.getoption(_HEADERS) or ():
        name, separator, value = text.partition("=")
        if not separator:
            raise pytest.UsageError(f"{_option(_HEADERS)} {text!r} is not NAME=VALUE")
        headers[name] = value
    return str(endpoint), {**options, "headers": headers}


def marked_settings(item: pytest.Item) -> dict[str, Any]:
    """The settings of an item's markers, the closest one first in rank.

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
    """Refuses markers whose settings can't be used, before any test runs.

    Raises:
        pytest.UsageError: naming the test and the setting.
    """
    for item in items:
        settings = marked_settings(item)
        if settings:
            configured(config, settings, f"{item.nodeid}: marker {MARKER}")


def configured(config: Config, settings: Mapping[str, Any], where: str) -> Config:
    """``config`` with other settings.

    Raises:
        pytest.UsageError: for settings that can't be used, naming ``where`` they stand.
    """
    try:
        return config.replace(**settings)
    except ConfigError as error:
        raise pytest.UsageError(f"{where}: {error}") from None


def _check_ini(config: pytest.Config) -> None:
    """Refuse ini options that begin as ours and are none.

    Raises:
        pytest.UsageError: with the one that may be meant.
    """
    known = {_ENDPOINT, *map(_ini, _offered())}
    # pytest tells nobody which options a file has: `inicfg` has a warning since version 9.
    found = getattr(config, "_inicfg", None)
    for name in config.inicfg if found is None else found:
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
