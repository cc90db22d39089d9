"""The servers that are measured, ours and the bare one, each in a process of its own.

A server in the benchmark's own process would share its interpreter lock with the client, which
changes every figure.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil

ROOT = Path(__file__).parents[2]
OURS = (sys.executable, "-m", "rpw_fixture", "serve", "--listen", "127.0.0.1:0")
BARE = (sys.executable, "-m", "tests.benchmarks.bare_server")
#: An installed package has its bytecode, so a start that compiles is no start to measure.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
_READY = "RPW_READY "
_PATIENCE = 60.0
_MIB = 1 << 20


class ServerProcess:
    """A server that announces itself as ours does.

    Args:
        command: starts it, in the project's root.
        arguments: flags beyond ``command``.

    Attributes:
        start_ms: from the start of the process to its ready line, milliseconds.
    """

    def __init__(self, command: Sequence[str], *arguments: str) -> None:
        begin = time.perf_counter()
        self._process = subprocess.Popen(
            [*command, *arguments],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
        )
        try:
            self.endpoint = self._wait_until_ready()
        except BaseException:
            self._end(signal.SIGKILL)
            raise
        self.start_ms = (time.perf_counter() - begin) * 1000

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end(signal.SIGTERM)

    @property
    def target(self) -> str:
        """``127.0.0.1:PORT``."""
        return self.endpoint.rpartition("://")[2]

    @property
    def resident_mib(self) -> float:
        """Resident memory of the server's own process, MiB."""
        return float(psutil.Process(self._process.pid).memory_info().rss) / _MIB

    def _wait_until_ready(self) -> str:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(_PATIENCE), f"{self._process.args!r} is not ready"
        line = self._process.stdout.readline().decode()
        assert line.startswith(_READY), f"{self._process.args!r} said {line!r}"
        return str(json.loads(line.removeprefix(_READY))["endpoint"])

    def _end(self, number: signal.Signals) -> None:
        self._process.send_signal(number)
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
