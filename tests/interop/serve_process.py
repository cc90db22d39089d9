"""The server as users start it: ``python -m rpw_fixture serve`` in a process of its own."""

from __future__ import annotations

import json
import selectors
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace, TracebackType
from typing import Any, Self

_READY = "RPW_READY "
_START_TIMEOUT = 30.0
_STOP_TIMEOUT = 30.0


class ServeProcess:
    """A running server, its endpoint and the events it has written.

    Args:
        folder: where the server's files go: ``port``, ``events`` and ``log``.
        arguments: flags beyond the address and these files.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port_file = folder / "port"
        self._events_file = folder / "events"
        self._log = folder / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "rpw_fixture", "serve"),
                    *("--listen", "127.0.0.1:0"),
                    *("--port-file", str(self.port_file)),
                    *("--events", str(self._events_file)),
                    *arguments,
                ],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        try:
            self.ready: dict[str, Any] = self._wait_until_ready()
        except BaseException:
            self._end()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    @property
    def endpoint(self) -> str:
        """``grpc://127.0.0.1:PORT``."""
        return str(self.ready["endpoint"])

    @property
    def bazel_flags(self) -> tuple[str, ...]:
        """What Bazel 4 needs in order to run every action here and none on its own machine."""
        return (
            "--spawn_strategy=remote",
            "--remote_local_fallback=false",
            f"--remote_executor={self.endpoint}",
        )

    @property
    def log(self) -> str:
        """All that the server wrote to stderr."""
        return self._log.read_text()

    def events(self) -> list[Any]:
        """Every complete line of the events file, its fields as attributes."""
        lines = self._events_file.read_text().splitlines(keepends=True)
        whole = (line for line in lines if line.endswith("\n"))
        return [json.loads(line, object_hook=_as_attributes) for line in whole]

    def stop(self) -> int:
        """Sends SIGTERM and waits; the exit status."""
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(_STOP_TIMEOUT)

    def _wait_until_ready(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            assert selector.select(_START_TIMEOUT), f"no {_READY}line\n{self.log}"
        line = self._process.stdout.readline().decode()
        assert line.startswith(_READY), f"{line!r}\n{self.log}"
        ready: dict[str, Any] = json.loads(line.removeprefix(_READY))
        return ready

    def _end(self) -> None:
        """Leaves no process, in whatever state the server is."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


def _as_attributes(fields: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(**fields)
