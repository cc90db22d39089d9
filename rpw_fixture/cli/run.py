"""``run``: a server around a command."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from rpw_fixture.cli.command_process import CommandSignals, find_program
from rpw_fixture.cli.parsers import to_path
from rpw_fixture.cli.port_file import write_port
from rpw_fixture.cli.settings import add_settings, config_of, start_logging
from rpw_fixture.cli.standard_streams import write_error
from rpw_fixture.config import Config
from rpw_fixture.events.kinds import Event
from rpw_fixture.summary import words
from rpw_fixture.summary.expectations import HERMETIC, NAMES, Expectation, Judgement, judge
from rpw_fixture.summary.model import RunSummary, summarize
from rpw_fixture.support.output_files import require_different, require_room
from rpw_fixture.support.workspace import Workspace
from rpw_fixture.testing import bazel_flags

if TYPE_CHECKING:
    from rpw_fixture.server import Server

_LISTEN = "127.0.0.1:0"
#: Seconds that ``bazel --version`` may take; bazelisk may have to download a Bazel first.
_VERSION_PATIENCE = 120.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``run``."""
    parser.usage = "%(prog)s [options] -- COMMAND [ARG…]"
    parser.epilog = (
        "COMMAND gets RPW_ENDPOINT (the server's address) and RPW_BAZELRC (a bazelrc that sends every\n"
        "action there). {endpoint} and {bazelrc} in its arguments are replaced. If COMMAND is bazel or\n"
        "bazelisk, the flags are inserted after its command word:\n"
        "  rpw-fixture run --expect reused -- bazel build //...\n"
        "A summary goes to stderr. The exit code is COMMAND's if that is not 0, else 1 if an expectation\n"
        "does not hold, else 0."
    )
    parser.add_argument(
        "command", nargs="*", metavar="COMMAND", help="the command and its arguments"
    )
    parser.add_argument(
        "--expect",
        action="append",
        default=[],
        metavar="EXPECTATION",
        help=f"fail unless this holds (repeatable): {', '.join(NAMES)}; each with an optional "
        "@MNEMONIC, as in reused@Javac",
    )
    add = parser.add_argument
    add(
        "--report",
        type=to_path,
        metavar="FILE",
        help="write a page of what happened to FILE (HTML)",
    )
    add("--trace", type=to_path, metavar="FILE", help="write a trace for Perfetto to FILE (JSON)")
    add_settings(parser, listen=_LISTEN)


def run(options: argparse.Namespace) -> int:
    """Run the command with a server around it."""
    config = config_of(options, listen=_LISTEN)
    expectations = [Expectation.parse(each) for each in options.expect]
    program = find_program(options.command)
    files = list(_files(options, config))
    require_different(files)
    for option, path in files:
        require_room(option, path)
    start_logging(config)
    with CommandSignals() as signals, Workspace() as workspace:
        if config.record is None and any(each.name == HERMETIC for each in expectations):
            config = config.replace(record=str(workspace.path / "recording"))
        began = time.time()
        code, events = _around(config, signals, program, options.command, workspace.path)
        summary = summarize(events)
        if config.summary is not False:
            _write(["", "rpw-fixture run:", words.summary(summary)])
        judgements = _judge(expectations, summary, config, began)
        _write_reports(options, events)
    return code or int(not all(each.holds for each in judgements))


def _files(options: argparse.Namespace, config: Config) -> Iterator[tuple[str, Path]]:
    """Yield each file that is written, with its option."""
    if config.events is not None:
        yield f"--events {config.events}", Path(config.events)
    for name in ("report", "trace"):
        if (path := getattr(options, name)) is not None:
            yield f"--{name} {path}", path


def _write_reports(options: argparse.Namespace, events: Sequence[Event]) -> None:
    for option, format_ in (("report", "html"), ("trace", "trace")):
        path = getattr(options, option)
        if path is not None:
            from rpw_fixture.report.write import write_report  # noqa: PLC0415 - only what is needed

            name = " ".join(options.command)
            write_report(events, path, format_, option=f"--{option}", name=name)


def _around(
    config: Config, signals: CommandSignals, program: str, command: Sequence[str], folder: Path
) -> tuple[int, list[Event]]:
    """Return the command's exit code, and the events of the server around it."""
    from rpw_fixture.server import Server  # noqa: PLC0415 - slow to load

    events: list[Event] = []
    with Server(config) as server:
        if server.web_address is not None:
            _write([f"live page: {server.web_address}"])
        events += server.events.snapshot()
        server.events.add_sink(events.append)  # the log itself forgets the oldest ones
        if config.port_file is not None:
            write_port(config.port_file, server.address)
        flags = _flags(server, program)
        rc = folder / "bazelrc"
        rc.write_text(bazel_flags.bazelrc(flags), encoding="utf-8")
        rc.chmod(0o600)  # it may hold a token
        places = {"{endpoint}": server.endpoint, "{bazelrc}": str(rc)}
        if bazel_flags.is_bazel(program) or bazel_flags.is_bazel(command[0]):
            command = bazel_flags.with_flags(command, flags)
        environment = {**os.environ, "RPW_ENDPOINT": server.endpoint, "RPW_BAZELRC": str(rc)}
        code = signals.run(program, [_filled(each, places) for each in command], environment)
        server.stop(0.0)  # no client is left that waits for an answer
    return code, events


def _flags(server: Server, program: str) -> list[str]:
    """Return the flags of a build, for the Bazel that is run, else for the one on PATH."""
    flags = server.bazel_flags()
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        bazel = program if bazel_flags.is_bazel(program) else "bazel"
        shown = subprocess.run(
            [bazel, "--version"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_VERSION_PATIENCE,
            check=False,
        ).stdout
        if bazel_flags.marks_tool_inputs(shown, lambda: False):
            flags.append(bazel_flags.MARK_FLAG)
    return flags


def _filled(argument: str, places: dict[str, str]) -> str:
    for name, value in places.items():
        argument = argument.replace(name, value)
    return argument


def _judge(
    expectations: Sequence[Expectation], summary: RunSummary, config: Config, began: float
) -> list[Judgement]:
    """Judge and report each expectation."""
    if not expectations:
        return []
    _write([""])
    judgements = []
    for each in expectations:
        judgement = judge(each, summary, partial(_findings, config.record, began))
        _write([f"expect {each.text}: {'holds' if judgement.holds else 'does not hold'}"])
        _write(f"  {line}" for line in judgement.lines)
        judgements.append(judgement)
    return judgements


def _findings(record: str | None, began: float, mnemonic: str) -> str:
    from rpw_fixture.summary.hermetic import findings_in  # noqa: PLC0415 - loads all checks

    return findings_in(Path(record or ""), mnemonic, since=began)


def _write(lines: Iterable[str]) -> None:
    """Write lines to stderr."""
    write_error("".join(f"{line}\n" for line in lines))
