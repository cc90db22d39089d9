"""Passing bytes, signals and the exit status between a build tool and a worker.

The worker gets the same arguments, environment, folder, stderr and process group as without the relay.
Its stdin and stdout are pipes whose other ends are here. When one side closes its end, so does the other.
"""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from typing import Protocol

from rpw_fixture.errors import ConfigError

_PIECE = 1 << 16
_PASSED_ON = (
    *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT),
    *(signal.SIGUSR1, signal.SIGUSR2),
)
#: How long stdout may stay open after the worker's end, because its children hold it, seconds.
_PATIENCE = 1.0


class RelayListener(Protocol):
    """An observer of the conversation."""

    def requests(self, data: bytes) -> Iterator[bytes]:
        """Yield ``data`` in pieces; each is passed on before the next one is asked for."""

    def responses(self, data: bytes) -> None:
        """Look at bytes of the worker before they are passed on."""


class Relay:
    """One worker behind this process's stdin and stdout.

    Args:
        command: starts the worker.

    Raises:
        ConfigError: when it can't be started.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._early: list[int] = []
        self._process: subprocess.Popen[bytes] | None = None
        for each in _PASSED_ON:
            if signal.getsignal(each) is not signal.SIG_IGN:
                signal.signal(each, self._pass_on)
        try:
            # Whatever else is open here was meant for the worker, such as a jobserver's pipe.
            self._process = subprocess.Popen(
                list(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False
            )
        except OSError as error:
            raise ConfigError(f"{command[0]} cannot be started: {error.strerror}") from None
        for number in self._early:
            self._process.send_signal(number)

    def run(self, listener: RelayListener) -> int:
        """Pass everything on until the worker has ended.

        Returns:
            Its exit status; a negative number is a signal.
        """
        process = self._process
        assert process is not None  # the constructor raises otherwise
        assert process.stdin is not None
        assert process.stdout is not None
        stdin, stdout = process.stdin.fileno(), process.stdout.fileno()
        to_worker = threading.Thread(
            target=_pump, args=(0, stdin, listener.requests), name="requests", daemon=True
        )
        to_tool = threading.Thread(
            target=_pump, args=(stdout, 1, _seen(listener)), name="responses", daemon=True
        )
        to_worker.start()
        to_tool.start()
        status = process.wait()
        to_tool.join(_PATIENCE)
        return status

    def _pass_on(self, number: int, _frame: object) -> None:
        if self._process is None:
            self._early.append(number)
        else:
            self._process.send_signal(number)


def end_like(status: int) -> int:
    """End this process as the worker ended; return the exit code if that was no signal."""
    sys.stdout.flush()
    sys.stderr.flush()
    if status < 0:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        with suppress(OSError, ValueError):
            signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    return status if status >= 0 else 128 - status


def _seen(listener: RelayListener) -> Callable[[bytes], Iterator[bytes]]:
    def look(data: bytes) -> Iterator[bytes]:
        listener.responses(data)
        yield data

    return look


def _pump(source: int, target: int, look: Callable[[bytes], Iterator[bytes]]) -> None:
    """Pass bytes on until one end is closed, then close the other."""
    with suppress(OSError):
        while data := os.read(source, _PIECE):
            for piece in look(data):
                _write(target, piece)
    # The numbers stay taken, so that no file that is opened later gets them.
    nothing = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
    os.dup2(nothing, source, inheritable=False)
    os.dup2(nothing, target, inheritable=False)
    os.close(nothing)


def _write(target: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(target, view) :]
