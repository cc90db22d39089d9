"""The floor of a warm worker: the same worker and the same request, over nothing but two pipes."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

from rpw_fixture import Action
from rpw_fixture.client.inputs import File
from rpw_fixture.wire.digests import SHA256
from rpw_fixture.wire.worker.encodings import encoding
from rpw_fixture.wire.worker.messages import Request

_RAM_DISK = Path("/dev/shm")
_LONGEST_RESPONSE = 4096


class WorkerPipe:
    """A warm worker and one encoded request to it."""

    def __init__(self, process: subprocess.Popen[bytes], request: bytes) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        self._stdin, self._stdout = process.stdin.fileno(), process.stdout.fileno()
        self._request = request

    def round_trip(self, _number: int = 0) -> None:
        """Sends the request and takes the answer, which is short."""
        rest = self._request
        while rest:  # a long one does not fit into the pipe at once
            rest = rest[os.write(self._stdin, rest) :]
        assert os.read(self._stdout, _LONGEST_RESPONSE)


@contextlib.contextmanager
def worker_pipe(action: Action, protocol: str = "proto") -> Iterator[WorkerPipe]:
    """The worker of an action of `workload.worker_action`, in a folder with its inputs."""
    base = _RAM_DISK if _RAM_DISK.is_dir() else None
    with tempfile.TemporaryDirectory(dir=base) as name:
        folder = Path(name)
        for path, entry in action.entries.items():
            assert isinstance(entry, File)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(entry.content)
        for path in action.outputs:
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
        with subprocess.Popen(
            [*action.arguments, "--persistent_worker"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={},
        ) as process:
            yield WorkerPipe(process, _request(action, protocol))


def _request(action: Action, protocol: str) -> bytes:
    spoken = encoding(protocol)
    inputs = spoken.encode_inputs(
        (path, SHA256.of(entry.content).hash.encode())
        for path, entry in sorted(action.entries.items())
        if isinstance(entry, File)
    )
    return spoken.encode(Request(arguments=action.flagfile or (), inputs=inputs))
