"""A server as users start it: ``python -m rpw_fixture serve`` in a separate process."""

from __future__ import annotations

import json
import selectors
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

from rpw_fixture.support import workspace
from rpw_fixture.support.closing import Closeable
from rpw_fixture.support.removal import remove

ROOT = Path(__file__).parents[1]
#: Starts a server of ours; flags may follow.
OURS = (sys.executable, "-m", "rpw_fixture", "serve", "--listen", "127.0.0.1:0")
_READY = "RPW_READY "
_PATIENCE = 60.0


class ServerProcess(Closeable):
    """A server that runs and has said so; at the end of the block it is stopped if it still does.

    Args:
        flags: beyond ``command``.
        command: starts a server that announces itself as ours does.
        environment: its whole environment, instead of this process's.
        stderr: where it writes to, instead of this process's.
        cwd: its working directory.

    Attributes:
        ready: what it said of itself.
    """

    def __init__(
        self,
        *flags: str,
        command: Sequence[str] = OURS,
        environment: Mapping[str, str] | None = None,
        stderr: IO[bytes] | None = None,
        cwd: Path = ROOT,
    ) -> None:
        self._process = subprocess.Popen(
            [*command, *flags],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=stderr,
        )
        try:
            self.ready = self._wait_until_ready()
        except BaseException:
            self.close()
            raise

    @property
    def endpoint(self) -> str:
        """``grpc://127.0.0.1:PORT``."""
        return str(self.ready["endpoint"])

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT``."""
        return self.endpoint.rpartition("://")[2]

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def stop(self) -> int:
        """Sends SIGTERM and waits; the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_PATIENCE)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal."""
        self._process.send_signal(number)

    def wait(self, seconds: float) -> int:
        """Wait until it has ended; return the exit status."""
        return self._process.wait(seconds)

    def kill(self) -> None:
        """SIGKILL, at whatever moment this is; what its folder held goes too."""
        self._process.kill()
        self._process.wait()
        # The spawner does it, unless it was killed as well or nothing was ever spawned.
        for folder in Path(workspace.base()).glob(f"rpw_fixture-{self.pid}-*"):
            remove(str(folder))

    def close(self) -> None:
        """Leaves no process, in whatever state the server is."""
        try:
            if self._process.poll() is None:
                self.stop()
        except subprocess.TimeoutExpired:
            self.kill()
        finally:
            if self._process.stdout is not None:
                self._process.stdout.close()

    def _wait_until_ready(self) -> dict[str, Any]:
        stdout = self._process.stdout
        assert stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(stdout, selectors.EVENT_READ)
            assert selector.select(_PATIENCE), f"{self._process.args!r} is not ready"
        line = stdout.readline().decode()
        assert line.startswith(_READY), f"{self._process.args!r} said {line!r}"
        ready: dict[str, Any] = json.loads(line.removeprefix(_READY))
        return ready
