"""Other servers with a CAS, measured in the same rounds where they are installed.

Each is in a separate environment, because it pins other versions of packages that we need. An
environment variable says where it is; without it its column stays empty.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from .wire import Wire, connected

#: Path of BuildGrid's ``bgd`` (``python -m venv bg && bg/bin/pip install buildgrid``).
BUILDGRID_VARIABLE = "RPW_BENCHMARK_BUILDGRID"
_PATIENCE = 60.0
_BUILDGRID = """
server:
  - !channel
    address: {address}
    insecure-mode: true
authorization:
  method: none
monitoring:
  enabled: false
instances:
  - name: ''
    storages:
      - !lru-storage &cas
        size: 8GB
    services:
      - !cas
        storage: *cas
      - !bytestream
        storage: *cas
thread-pool-size: 100
"""


@contextlib.contextmanager
def peers() -> Iterator[Mapping[str, Wire]]:
    """Clients of the servers that are installed, by name."""
    with contextlib.ExitStack() as stack:
        found = {}
        program = os.environ.get(BUILDGRID_VARIABLE)
        if program:
            found["BuildGrid"] = stack.enter_context(_buildgrid(program))
        yield found


@contextlib.contextmanager
def _buildgrid(program: str) -> Iterator[Wire]:
    with tempfile.TemporaryDirectory() as name:
        address = f"127.0.0.1:{_free_port()}"
        config = Path(name) / "config.yml"
        config.write_text(_BUILDGRID.format(address=address))
        process = subprocess.Popen(
            [program, "server", "start", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_until_listening(address, process)
            with connected(address) as wire:
                yield wire
        finally:
            process.kill()  # it keeps everything in memory
            process.wait()


def _wait_until_listening(address: str, process: subprocess.Popen[bytes]) -> None:
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection((host, int(port))).close()
        except OSError:
            assert process.poll() is None, f"{process.args!r} has ended"
            assert time.monotonic() < deadline, f"{process.args!r} does not listen"
            time.sleep(0.1)
        else:
            return


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
