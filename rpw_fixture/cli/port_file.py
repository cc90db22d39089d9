"""The file of ``--port-file``."""

from __future__ import annotations

import tempfile
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError


def write_port(path: str, address: str) -> None:
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
