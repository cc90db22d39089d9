"""The options of ``check`` that take execution logs in place of a suite."""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from rpw_fixture.cli import check_servers
from rpw_fixture.cli.parsers import to_path
from rpw_fixture.errors import ConfigError, EnvironmentLacksError, RequestError

if TYPE_CHECKING:
    from rpw_fixture.hermeticity.check import Options
    from rpw_fixture.hermeticity.findings.report import Report
    from rpw_fixture.hermeticity.suites.execution_logs.contents import Download

_NEEDING_A_LOG = ("cas", "exec_root", "workspace", "mnemonic", "tool_input")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    add = parser.add_argument_group("an execution log of Bazel in place of a suite").add_argument
    add(
        "--exec-log",
        action="append",
        default=[],
        type=to_path,
        metavar="FILE",
        help="a log of --execution_log_binary_file, _json_file or _compact_file; if two are given, "
        "their outputs are compared as well",
    )
    add(
        "--mnemonic",
        action="append",
        default=[],
        metavar="NAME[:proto|json[,…]]",
        help="check actions of this mnemonic (repeatable); multiplex, sandbox and cancellation may "
        "follow the protocol (default: actions that ran on workers, or have a worker key)",
    )
    add(
        "--exec-root",
        type=to_path,
        metavar="DIR",
        help="folder of inputs (bazel info execution_root)",
    )
    add("--workspace", type=to_path, metavar="DIR", help="folder of the sources")
    add(
        "--cas",
        metavar="ENDPOINT",
        help="a remote cache that has the inputs; the options of an existing server apply to it",
    )
    add(
        "--tool-input",
        action="append",
        default=[],
        metavar="GLOB",
        help="inputs that belong to workers (repeatable), for logs that mark none, Bazel before 6",
    )


def check(options: argparse.Namespace, check_options: Options) -> Report:
    """Check the logs.

    Raises:
        ConfigError: for a log that is broken, or options that don't fit.
    """
    from rpw_fixture.hermeticity.execution_logs import check_logs  # noqa: PLC0415 - heavy
    from rpw_fixture.hermeticity.suites.execution_logs import reader, selection  # noqa: PLC0415
    from rpw_fixture.hermeticity.suites.execution_logs.contents import Contents  # noqa: PLC0415

    if options.suite is not None:
        raise ConfigError("name a suite or --exec-log, not both")
    if len(options.exec_log) > 2:
        raise ConfigError("--exec-log takes one log, or two to compare")
    for name in ("exec_root", "workspace"):
        folder = getattr(options, name)
        if folder is not None and not folder.is_dir():
            raise ConfigError(f"--{name.replace('_', '-')} {folder}: not a folder")
    wanted = selection.Selection(
        mnemonics=selection.parse_mnemonics(options.mnemonic), tool_globs=options.tool_input
    )
    logs = [reader.load(each) for each in options.exec_log]
    with ExitStack() as stack:
        contents = Contents(
            exec_root=options.exec_root,
            workspace=options.workspace,
            download=_download(options, stack),
        )
        try:
            return check_logs(logs, wanted, contents, check_options, _say)
        except RequestError as error:
            raise EnvironmentLacksError(f"--cas {options.cas}: {error}") from None


def require_a_log(options: argparse.Namespace) -> None:
    """Refuse options that mean nothing without a log.

    Raises:
        ConfigError: names the option.
    """
    for name in _NEEDING_A_LOG:
        if getattr(options, name) and not options.exec_log:
            raise ConfigError(f"--{name.replace('_', '-')} is of no use without --exec-log")


def _download(options: argparse.Namespace, stack: ExitStack) -> Download | None:
    from rpw_fixture.hermeticity.suites.execution_logs.contents import cas_download  # noqa: PLC0415

    if options.cas is None:
        return None
    client = check_servers.connection(options.cas, options).connect()
    stack.callback(client.close)
    return cas_download(client)


def _say(line: str) -> None:
    print(line, file=sys.stderr)
