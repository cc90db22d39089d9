"""A server for Bazel: what it writes, and the flags that lead there."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from tests.server_process import ServerProcess


class ServeProcess(ServerProcess):
    """A running server and the events it has written.

    Args:
        folder: where the server's files go: ``port``, ``events`` and ``log``.
        arguments: flags beyond these files.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.port_file = folder / "port"
        self._events_file = folder / "events"
        self._log = folder / "log"
        files = ("--port-file", str(self.port_file), "--events", str(self._events_file))
        with self._log.open("wb") as log:
            super().__init__(*files, *arguments, stderr=log)

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


def _as_attributes(fields: dict[str, Any]) -> SimpleNamespace:
    return SimpleNamespace(**fields)
