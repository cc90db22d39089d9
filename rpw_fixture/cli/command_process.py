"""The command that ``run`` runs: finding it, starting it, and passing signals on to it."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence

from rpw_fixture.cli import exit_codes
from rpw_fixture.cli.stop_signals import StopSignals
from rpw_fixture.errors import ConfigError, EnvironmentLacksError
from rpw_fixture.processes.spawner import Spawner, StartError

#: Signals that a terminal sends to all processes in the foreground.
_OF_TERMINALS = (signal.SIGINT, signal.SIGQUIT)


def find_program(command: Sequence[str]) -> str:
    """Return the path of a command's program.

    Raises:
        ConfigError: there is no command.
        EnvironmentLacksError: there is no such program.
    """
    if not command:
        raise ConfigError(
            "no COMMAND; write it behind --, as in: rpw-fixture run -- bazel build //..."
        )
    program = shutil.which(command[0])
    if program is not None:
        return program
    if os.path.exists(command[0]):  # noqa: PTH110 - as the shell would look for it
        raise EnvironmentLacksError(f"{command[0]}: not an executable file")
    where = "no such file" if os.sep in command[0] else "not on PATH"
    raise EnvironmentLacksError(f"{command[0]}: {where}")


class CommandSignals(StopSignals):
    """Passes signals on to a command while it runs; before and after it, they end this process.

    A terminal's Ctrl-C reaches a command in the foreground without help, so that is not passed on.
    """

    signals = (
        *(signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT),
        *(signal.SIGUSR1, signal.SIGUSR2),  # what they mean is the command's affair
    )

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        super().__init__()

    def run(self, program: str, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a command to its end; return its exit code, 128 plus a signal's number if one ended it.

        Raises:
            EnvironmentLacksError: the program can't be started.
        """
        with Spawner() as spawner:
            guard = _Guard(spawner)
            try:
                with self._lock:
                    process = subprocess.Popen(command, executable=program, env=environment)
                    self._process = process
                    guard.set(process.pid)
            except OSError as error:
                raise EnvironmentLacksError(f"{program}: {error.strerror}") from None
            code = process.wait()
            guard.set(None)
        with self._lock:
            self._process = None
        return code if code >= 0 else exit_codes.SIGNAL - code

    def stop(self, number: int) -> None:
        """Pass a signal on."""
        self._pass_on(number)

    def end(self, number: int) -> None:
        """Pass a later signal on too."""
        self._pass_on(number)

    def _pass_on(self, number: int) -> None:
        with self._lock:
            if self._process is None:
                os._exit(exit_codes.SIGNAL + number)
            if number not in _OF_TERMINALS or not _is_in_foreground():
                self._process.send_signal(number)


class _Guard:
    """Makes sure that the command is killed if this process is killed, with which its server ends.

    Where no spawner can be started, the command runs without.
    """

    def __init__(self, spawner: Spawner) -> None:
        self._spawner = spawner
        with contextlib.suppress(StartError):
            spawner.start()  # before the command: nothing may take time between its start and the guard's

    def set(self, pid: int | None) -> None:
        with contextlib.suppress(StartError):
            self._spawner.guard(pid)


def _is_in_foreground() -> bool:
    """Return whether this process, and so its command, belongs to the foreground of a terminal."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
