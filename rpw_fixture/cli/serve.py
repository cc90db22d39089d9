"""``serve``: run a server for Bazel, Buck2 or any other REAPI client."""

from __future__ import annotations

import argparse
import gc
import json
import logging
import os
import tempfile
import threading
from pathlib import Path

from rpw_fixture._version import __version__
from rpw_fixture.cli.settings import add_settings, config_of
from rpw_fixture.cli.stop_signals import StopSignals
from rpw_fixture.config import Config
from rpw_fixture.errors import EnvironmentLacksError

#: Seconds between two checks whether the server was idle for --idle-timeout.
_IDLE_CHECK = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the settings of a server."""
    parser.epilog = (
        "When it accepts calls, it prints one line on stdout:\n"
        '  RPW_READY {"endpoint": "grpc://127.0.0.1:8980", "pid": 1234, "version": "…"}\n'
        "After SIGTERM or SIGINT, running actions may end; a second signal ends the server at once.\n"
        "No process that the server started outlives it, however the server ends."
    )
    add_settings(parser)


def run(options: argparse.Namespace) -> int:
    """Serve until a signal, or until there was no call for --idle-timeout seconds."""
    config = config_of(options)
    logging.basicConfig(
        level=config.log_level.upper(), format="%(asctime)s %(levelname)s %(message)s"
    )
    with StopSignals() as signals:
        _serve(config, signals.stopping)
    return 0


def _serve(config: Config, stopping: threading.Event) -> None:
    from rpw_fixture.server import Server  # noqa: PLC0415 - slow to load: signals are caught first

    with Server(config) as server:
        ready = {"endpoint": server.endpoint, "pid": os.getpid(), "version": __version__}
        if config.port_file is not None:
            _write_port(config.port_file, server.address)
        print(f"RPW_READY {json.dumps(ready)}", flush=True)
        server.prepare()
        gc.freeze()  # what is loaded now stays, so the collector can skip it
        while not stopping.wait(_IDLE_CHECK if config.idle_timeout else None):
            if server.idle_seconds >= config.idle_timeout:
                break


def _write_port(path: str, address: str) -> None:
    """Write the port, or a socket's path, atomically: no reader sees half of it."""
    text = address.rpartition(":")[2]
    target = Path(path)
    try:
        with tempfile.TemporaryDirectory(prefix=".rpw-", dir=target.parent) as folder:
            whole = Path(folder) / target.name
            whole.write_text(f"{text}\n", encoding="utf-8")
            whole.chmod(0o644)
            whole.replace(target)
    except OSError as error:
        raise EnvironmentLacksError(f"--port-file {path}: {error.strerror}") from None
