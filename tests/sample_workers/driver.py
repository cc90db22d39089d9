"""Starts one worker process, talks to it over pipes, and leaves nothing of it behind.

Timeouts only keep a failing test from hanging; no test passes or fails by how long things take.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

from .encodings import Encoding, Request, Response

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

PATIENCE_SECONDS = 30.0


class Worker:
    """A running worker; leaving the context kills it and asserts that its process group is gone.

    Args:
        command: the start-up command without ``--persistent_worker``.
        folder: its working directory; its stderr goes to a file beside that folder.
    """

    def __init__(self, command: Sequence[str], encoding: Encoding, folder: Path) -> None:
        self.encoding = encoding
        self._stderr_file = folder.parent / f"{folder.name}.stderr"
        with self._stderr_file.open("wb") as stderr:
            self.process = subprocess.Popen(
                [*command, "--persistent_worker"],
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stderr,
                start_new_session=True,
            )
        self._received = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.close_stdin()
        self._stdout.close()
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        raise AssertionError("the worker left processes behind")

    @property
    def _stdout(self) -> Any:
        assert self.process.stdout is not None
        return self.process.stdout

    @property
    def stderr(self) -> str:
        return self._stderr_file.read_text()

    def send_bytes(self, data: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, *arguments: str, **fields: Any) -> None:
        self.send_bytes(self.encoding.encode(Request(arguments=arguments, **fields)))

    def receive(self) -> Response:
        """The next response; fails on EOF, with the worker's stderr."""
        while True:
            response, rest = self.encoding.cut(self._received)
            if response is not None:
                self._received = rest
                return response
            chunk = self._read()
            assert chunk, f"EOF after {self._received!r}, status {self.wait()}: {self.stderr}"
            self._received += chunk

    def ask(self, *arguments: str, **fields: Any) -> Response:
        self.send(*arguments, **fields)
        return self.receive()

    def receive_bytes(self, count: int) -> bytes:
        """Return at least this number of bytes from stdout; fewer only at its end."""
        while len(self._received) < count and (chunk := self._read()):
            self._received += chunk
        data, self._received = self._received, b""
        return data

    def silent_for(self, seconds: float) -> bool:
        """True if nothing came in that time: can't fail for a slow machine."""
        return not self._received and not select.select([self._stdout], [], [], seconds)[0]

    def _read(self) -> bytes:
        deadline = time.monotonic() + PATIENCE_SECONDS
        ready, _, _ = select.select([self._stdout], [], [], deadline - time.monotonic())
        assert ready, f"no answer; stderr: {self.stderr}"
        return os.read(self._stdout.fileno(), 1 << 16)

    def close_stdin(self) -> None:
        if self.process.stdin is not None and not self.process.stdin.closed:
            with contextlib.suppress(BrokenPipeError):  # ended before it read everything
                self.process.stdin.close()

    def finish(self) -> int:
        """Close stdin and return the exit status, which is to come by itself."""
        self.close_stdin()
        return self.wait()

    def wait(self) -> int:
        return self.process.wait(PATIENCE_SECONDS)


def run_once(
    command: Sequence[str], folder: Path, env: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[bytes]:
    """Run the tool without ``--persistent_worker``."""
    return subprocess.run(
        command, cwd=folder, env=env, capture_output=True, timeout=PATIENCE_SECONDS, check=False
    )
