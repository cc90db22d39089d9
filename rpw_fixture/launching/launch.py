"""How a process is started: one narrow protocol, which isolation and containers wrap.

Here live the protocol, what is launched, and the launchers without isolation. Each kind of isolation
is a launcher of its own in a file of its own, around another one; which of them a server uses is
decided in `isolation`. What the process is for, and what is said to it, is not known here.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from rpw_fixture.launching import executable
from rpw_fixture.processes.spawner import Process, Setup, SetupStep, Spawner

#: Variables that name folders of the process's own, and what these are called in `Launch.private`.
PRIVATE_FOLDERS: Mapping[str, str] = MappingProxyType({"HOME": "home", "TMPDIR": "tmp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A program to start, with all that any launcher may want to know.

    Attributes:
        argv: the command line; the first part names the program.
        environment: all variables of the process.
        root: absolute path of the exec root (the input root on disk).
        working_directory: relative to the exec root, "" for the exec root itself.
        private: absolute path of a folder that isolation may create, for what belongs to this process
            alone; whoever launches removes it.
        container: platform properties that concern containers; without ``container-image`` the process
            is a local one.
        purpose: what the process is, in words for people: ``worker 3``, ``action 1f…/142``.
        steps: what happens in the new process before the program starts.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    root: str
    working_directory: str = ""
    private: str = ""
    container: tuple[tuple[str, str], ...] = ()
    purpose: str = ""
    steps: tuple[SetupStep, ...] = ()

    @property
    def folder(self) -> str:
        """The working directory, absolute."""
        return os.path.join(self.root, self.working_directory)

    def find_program(self) -> str:
        """Return the path of the program on this machine.

        Raises:
            FileNotFoundError, PermissionError: naming what is not there or may not be executed.
        """
        return executable.find(self.argv[0], self.environment, self.folder)


class Launcher(Protocol):
    """Starts processes in one way."""

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """Start the program and returns once it runs.

        Args:
            command: what to start.
            stdin, stdout, stderr: descriptors for 0, 1 and 2; the caller keeps its own copies.

        Raises:
            FileNotFoundError, PermissionError: the program is not there, or may not be executed.
            StartError: the system refused.
            RequestError: the action asks for what this launcher can't give, such as an image that
                does not exist.
        """


class Local:
    """Starts processes as they are, with no isolation but a session of their own.

    Args:
        spawner: starts them.
        limits: soft and hard value of resource limits by name, such as ``RLIMIT_NOFILE``.
    """

    def __init__(
        self, spawner: Spawner, limits: Mapping[str, tuple[int, int]] = MappingProxyType({})
    ) -> None:
        self._spawner = spawner
        self._limits = limits

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """See `Launcher.launch`."""
        return self._spawner.spawn(
            executable=command.find_program(),
            argv=command.argv,
            env=command.environment,
            cwd=command.folder,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            limits=self._limits,
            setup=Setup(steps=command.steps) if command.steps else None,
        )


class PrivateHome:
    """Gives each process a home and a temporary folder of its own, whatever its command says.

    Args:
        inner: starts the process.
    """

    def __init__(self, inner: Launcher) -> None:
        self._inner = inner

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """See `Launcher.launch`."""
        folders = {
            name: os.path.join(command.private, each) for name, each in PRIVATE_FOLDERS.items()
        }
        for folder in folders.values():
            os.makedirs(folder, mode=0o700, exist_ok=True)
        changed = replace(command, environment={**command.environment, **folders})
        return self._inner.launch(changed, stdin=stdin, stdout=stdout, stderr=stderr)


class ByImage:
    """Sends what names a ``container-image`` one way and the rest the other.

    Args:
        local: for processes on this machine.
        contained: for processes in containers.
    """

    def __init__(self, local: Launcher, contained: Launcher) -> None:
        self._local = local
        self._contained = contained

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """See `Launcher.launch`."""
        chosen = self._contained if dict(command.container).get("container-image") else self._local
        return chosen.launch(command, stdin=stdin, stdout=stdout, stderr=stderr)
