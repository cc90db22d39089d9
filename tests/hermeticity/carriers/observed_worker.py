"""A worker with an observer, driven by hand: requests over its pipes, commands over the socket.

The workers here read a line ``KIND TEXT`` and answer with TEXT, plus what they remember of an earlier
request of that kind.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

OBSERVERS = Path(__file__).parents[3] / "rpw_fixture" / "hermeticity" / "carriers" / "observers"
PATIENCE = 60.0


class ObservedWorker:
    """The worker's pipes, and the connection of its observer."""

    def __init__(self, process: subprocess.Popen[str], connection: socket.socket) -> None:
        self.process = process
        self._connection = connection
        self._answers = connection.makefile("r", encoding="utf-8")
        self.greeting = json.loads(self._answers.readline())

    def request(self, kind: str, text: str) -> str:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{kind} {text}\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().rstrip("\n")

    def ask(self, **message: object) -> dict[str, Any]:
        self._connection.sendall(json.dumps(message).encode() + b"\n")
        answer: dict[str, Any] = json.loads(self._answers.readline())
        return answer

    def changes(self) -> dict[str, dict[str, Any]]:
        return {each["name"]: each for each in self.ask(do="changes")["changes"]}

    def close(self) -> None:
        self._answers.close()
        self._connection.close()


@contextlib.contextmanager
def observed(
    command: Sequence[str], variables: Mapping[str, str], folder: Path, *, is_tcp: bool = False
) -> Iterator[ObservedWorker]:
    """Start a worker with an observer; afterwards it must end by itself."""
    with contextlib.ExitStack() as cleanup:
        listener, address = _listen(cleanup, is_tcp=is_tcp)
        environment = {"PATH": os.environ["PATH"], "HOME": str(folder), **variables}
        process = cleanup.enter_context(
            subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=folder,
                env={**environment, "RPW_OBSERVER": address},
            )
        )
        cleanup.callback(process.kill)
        assert select.select([listener], [], [], PATIENCE)[0], "no observer has connected"
        connection, _ = listener.accept()
        connection.settimeout(PATIENCE)
        worker = ObservedWorker(process, connection)
        cleanup.callback(worker.close)
        yield worker
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(PATIENCE) == 0


def _listen(cleanup: contextlib.ExitStack, *, is_tcp: bool) -> tuple[socket.socket, str]:
    if is_tcp:
        listener = cleanup.enter_context(socket.create_server(("127.0.0.1", 0)))
        return listener, f"127.0.0.1:{listener.getsockname()[1]}"
    # Paths of Unix sockets are limited to about a hundred bytes.
    path = cleanup.enter_context(tempfile.TemporaryDirectory()) + "/observer"
    listener = cleanup.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(path)
    listener.listen()
    return listener, path


def located(worker: ObservedWorker, kind: str, name: str) -> dict[str, Any]:
    """Let a kind of leak happen, put back what bears the name alone, and see the victim right.

    Returns the change.
    """
    worker.ask(do="mark")
    assert worker.request(kind, "one") == "one"
    changes = worker.changes()
    assert name in changes, (kind, name, sorted(changes))
    change = changes[name]
    assert change["can_restore"], change
    answer = worker.ask(do="restore", ids=[change["id"]])
    assert answer == {"restored": [change["id"]], "failed": {}}
    assert worker.request(kind, "two") == "two", (kind, change)
    return change


def leaks(worker: ObservedWorker, kind: str) -> str:
    """What a second request is answered with when nothing is put back."""
    worker.request(kind, "one")
    return worker.request(kind, "two")
