"""``buildbox-casd`` as a remote execution server: the executor that comes with BuildStream."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from rpw_fixture.support.closing import Closeable
from tests.waiting import until

_PATIENCE = 60.0
#: The Python of this test inside the sandbox, which has no other.
PYTHON = os.path.realpath(sys.executable)


class Casd(Closeable):
    """A running ``buildbox-casd`` that executes actions itself, each in a bubblewrap sandbox.

    It treats the input root as ``/``, so a few folders of this machine are mounted there.

    Args:
        programs: folder of ``buildbox-casd`` and ``buildbox-run``.
        folder: for its socket, its log and its cache; the path must be short enough for a socket.
        more: more folders of this machine to mount.
    """

    def __init__(self, programs: Path, folder: Path, more: Iterable[Path] = ()) -> None:
        self._socket = folder / "casd.sock"
        self._log = folder / "casd.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    programs / "buildbox-casd",
                    f"--bind=unix:{self._socket}",
                    f"--buildbox-run={programs / 'buildbox-run'}",
                    *(f"--runner-arg=--ro-bind-mount={each}" for each in _mounts()),
                    *(f"--runner-arg=--ro-bind-mount={each}:{each}" for each in more),
                    "--jobs=2",
                    "--log-level=warning",
                    folder / "cache",
                ],
                env={**os.environ, "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        until(lambda: self._socket.exists() or self._process.poll() is not None)
        if self._process.poll() is not None:
            raise AssertionError(f"buildbox-casd ended: {self.log}")

    @property
    def endpoint(self) -> str:
        """``unix:PATH``."""
        return f"unix:{self._socket}"

    @property
    def log(self) -> str:
        """All that it wrote."""
        return self._log.read_text(errors="replace")

    def close(self) -> None:
        """Stops it, and with it what still runs."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
            raise


def _mounts() -> list[str]:
    """``HOST:SANDBOX`` for the system's programs and this Python."""
    folders = {"/usr": "/usr"}
    for name in ("bin", "lib", "lib64"):
        real = Path("/", name).resolve()  # mostly a link into /usr
        if real.is_dir():
            folders[f"/{name}"] = str(real)
    if not sys.base_prefix.startswith("/usr"):
        folders[sys.base_prefix] = sys.base_prefix
    return [f"{real}:{name}" for name, real in folders.items()]
