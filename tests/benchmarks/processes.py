"""The servers that are measured, ours and the bare one, each in a separate process.

A server in the benchmark's own process would share its interpreter lock with the client, which
changes every figure.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence

import psutil

from tests import server_process

OURS = server_process.OURS
BARE = (sys.executable, "-m", "tests.benchmarks.bare_server")
#: An installed package has its bytecode, so a start that compiles is no start to measure.
ENVIRONMENT = {
    name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"
}
_MIB = 1 << 20


class ServerProcess(server_process.ServerProcess):
    """A server that announces itself as ours does.

    Args:
        command: starts it, in the project's root.
        arguments: flags beyond ``command``.

    Attributes:
        start_ms: from the start of the process to its ready line, milliseconds.
    """

    def __init__(self, command: Sequence[str], *arguments: str) -> None:
        begin = time.perf_counter()
        super().__init__(*arguments, command=command, environment=ENVIRONMENT)
        self.start_ms = (time.perf_counter() - begin) * 1000

    @property
    def busy_ms(self) -> float:
        """Processor time of the server's own process so far, milliseconds."""
        used = psutil.Process(self.pid).cpu_times()
        return (used.user + used.system) * 1000

    @property
    def resident_mib(self) -> float:
        """Resident memory of the server's own process, MiB."""
        return float(psutil.Process(self.pid).memory_info().rss) / _MIB
