"""The options of ``check`` about an existing server that takes the place of this machine."""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

from rpw_fixture.client.existing_server import (
    ENDPOINT_FORMS,
    OPTIONS,
    ExistingServer,
    from_options,
    properties,
)
from rpw_fixture.errors import ConfigError

#: Trials that a cluster has at once, unless ``--jobs`` is given.
EXECUTOR_JOBS = 64
_PROPERTY = "--platform-property"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options, with Bazel's names."""
    add = parser.add_argument_group("an existing server instead of this machine").add_argument
    add(
        "--target",
        metavar="ENDPOINT",
        help="run the actions on this REAPI server, and only the checks that need no more than "
        f"results: {ENDPOINT_FORMS}",
    )
    add(
        "--executor",
        metavar="ENDPOINT",
        help="run all checks on the machines of this REAPI server, each trial as an ordinary action "
        f"(--jobs: trials at once, default: {EXECUTOR_JOBS})",
    )
    for option in OPTIONS:
        repeatable: Any = {"action": "append", "default": []} if option.is_repeatable else {}
        add(option.bazel_name, metavar=option.metavar, help=option.help, **repeatable)
    add(
        _PROPERTY,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="add this platform property to every action, such as container-image (repeatable)",
    )
    add(
        "--executor-path",
        default="",
        metavar="PATH",
        help="PATH of python3 and of the worker on the machines of --executor (default: the usual one)",
    )
    add(
        "--no-cache-silo-key",
        action="store_true",
        help="never send cache-silo-key, even if nothing else leads to a fresh worker",
    )


class Servers(NamedTuple):
    """The servers that the options describe; None means this machine."""

    target: ExistingServer | None = None
    executor: ExistingServer | None = None


def servers(options: argparse.Namespace) -> Servers:
    """Return the servers that ``--target``, ``--executor`` and their options describe.

    Raises:
        ConfigError: for a value that cannot be used, or an option that needs another one.
    """
    if options.target is not None and options.executor is not None:
        raise ConfigError(
            "--target asks how the workers of a server behave, --executor has a server run this "
            "suite's workers: give one of them"
        )
    endpoint = options.target if options.executor is None else options.executor
    _refuse_useless(options)
    if endpoint is None:
        return Servers()
    server = from_options(
        endpoint,
        _given(options),
        _names(),
        platform=properties(options.platform_property, _PROPERTY),
        may_silo=not options.no_cache_silo_key,
        search_path=options.executor_path,
    )
    return Servers(executor=server) if options.target is None else Servers(target=server)


def _refuse_useless(options: argparse.Namespace) -> None:
    """Raise for an option that has no effect without another one."""
    useless: dict[str, tuple[object, str]] = {}
    if options.target is None:
        useless["--no-cache-silo-key"] = (options.no_cache_silo_key, "--target")
    if options.executor is None:
        useless["--executor-path"] = (options.executor_path, "--executor")
    if options.target is None and options.executor is None:
        either = "--target or --executor"
        useless[_PROPERTY] = (options.platform_property, either)
        if options.cas is None:
            names = _names()
            useless |= {names[field]: (value, either) for field, value in _given(options).items()}
    for name, (value, needed) in useless.items():
        if value:
            raise ConfigError(f"{name} is of no use without {needed}")


def connection(endpoint: str, options: argparse.Namespace) -> ExistingServer:
    """Return the server at ``endpoint``, with what the options say of its connection.

    Raises:
        ConfigError: for a value that cannot be used.
    """
    return from_options(endpoint, _given(options), _names())


def _given(options: argparse.Namespace) -> dict[str, Any]:
    """Return the values of the options that describe a connection, by field of `ExistingServer`."""
    return {each.field: getattr(options, _destination(each.bazel_name)) for each in OPTIONS}


def _names() -> dict[str, str]:
    return {each.field: each.bazel_name for each in OPTIONS}


def _destination(option: str) -> str:
    return option.removeprefix("--").replace("-", "_")
