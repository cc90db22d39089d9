"""``serve``: run a server for Bazel, Buck2 or any other REAPI client."""

from __future__ import annotations

import argparse
import contextlib
import gc
import json
import os
import shlex
import sys
import threading
from typing import TYPE_CHECKING

from rpw_fixture._version import __version__
from rpw_fixture.cli.port_file import write_port
from rpw_fixture.cli.settings import add_settings, config_of, start_logging
from rpw_fixture.cli.standard_streams import write_error, write_line
from rpw_fixture.cli.stop_signals import StopSignals
from rpw_fixture.config import Config
from rpw_fixture.support import heap

if TYPE_CHECKING:
    from rpw_fixture.cli.live_report import LiveReport
    from rpw_fixture.server import Server

#: Seconds between two checks whether the server was idle for --idle-timeout.
_IDLE_CHECK = 0.2
#: Thresholds of the garbage collector. An action leaves no cycles, but with the usual thresholds the
#: collector looks for some during each action.
_COLLECTIONS = (5_000, 20, 20)
#: Characters of a line of flags.
_WIDTH = 96


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the settings of a server."""
    parser.epilog = (
        "When it accepts calls, it prints one line on stdout:\n"
        '  RPW_READY {"endpoint": "grpc://127.0.0.1:8980", "pid": 1234, "version": "…"}\n'
        "On a terminal, stderr gets the flags for Bazel, a line for each action and a summary; else only\n"
        "warnings, and the summary with --summary.\n"
        "After SIGTERM or SIGINT, running actions may end; a second signal ends the server at once.\n"
        "No process that the server started outlives it, however the server ends."
    )
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal, or until there was no call for --idle-timeout seconds."""
    config = config_of(options)
    start_logging(config)
    with StopSignals() as signals:
        _serve(config, signals.stopping)
    return 0


def _serve(config: Config, stopping: threading.Event) -> None:
    heap.share_arenas()  # before gRPC is loaded, because it starts threads
    from rpw_fixture.server import Server  # noqa: PLC0415 - slow to load: signals are caught first

    is_terminal = sys.stderr.isatty()
    with Server(config) as server, contextlib.ExitStack() as stack:
        ready = {"endpoint": server.endpoint, "pid": os.getpid(), "version": __version__}
        if config.port_file is not None:
            write_port(config.port_file, server.address)
        write_line(f"RPW_READY {json.dumps(ready)}")
        if server.web_address is not None:
            write_error(f"live page: {server.web_address}\n")
        server.prepare()
        if is_terminal:
            write_error(banner(server))
        stack.enter_context(_report(server, shows_actions=is_terminal))
        gc.freeze()  # what is loaded now stays, so the collector can skip it
        gc.set_threshold(*_COLLECTIONS)
        while not stopping.wait(_IDLE_CHECK if config.idle_timeout else None):
            if server.idle_seconds >= config.idle_timeout:
                break
    if is_terminal if config.summary is None else config.summary:
        write_error(summary_of(server))


def _report(server: Server, *, shows_actions: bool) -> LiveReport:
    from rpw_fixture.cli.live_report import LiveReport  # noqa: PLC0415 - not before it is ready

    return LiveReport(server.events, sys.stderr, shows_actions=shows_actions)


def banner(server: Server) -> str:
    """Return what to add to a Bazel command so that its actions run here."""
    lines = [""]
    for flag in map(shlex.quote, server.bazel_flags(shows_secrets=False)):
        if lines[-1] and len(lines[-1]) + len(flag) > _WIDTH:
            lines.append("")
        lines[-1] += f"{flag} "
    return "\n".join(
        (
            f"rpw-fixture {__version__} serves {server.endpoint}; Ctrl-C ends it. Add to bazel build:",
            *(f"  {line}".rstrip() for line in lines),
            "  and from Bazel 6 on --experimental_remote_mark_tool_inputs",
            "",
        )
    )


def summary_of(server: Server) -> str:
    """Return the summary of what a server did."""
    from rpw_fixture.summary import words  # noqa: PLC0415 - needed at the end only
    from rpw_fixture.summary.model import summarize  # noqa: PLC0415

    return f"\n{words.summary(summarize(server.events.snapshot()))}\n"
