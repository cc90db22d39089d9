"""The protocol by which processes are started, which isolation and containers wrap.

This module holds the protocol, the value that is launched, and the launchers without isolation. Each
kind of isolation is a launcher in a separate file that wraps another launcher; `isolation` decides which
of them a server uses. Nothing here knows the purpose of a process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Protocol

from rpw_fixture.launching import executable
from rpw_fixture.processes.spawner import Process, Setup, SetupStep, Spawner

#: Variables for private folders of the process, and the names of these folders in `Launch.private`.
PRIVATE_FOLDERS: Mapping[str, str] = MappingProxyType({"HOME": "home", "TMPDIR": "tmp"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """A program to start, with everything that a launcher may need.

    Attributes:
        argv: the command line; the first part names the program.
        environment: all variables of the process.
        root: absolute path of the exec root (the input root on disk).
        working_directory: relative to the exec root, "" for the exec root itself.
        private: absolute path of a folder that isolation may create, for files of this process alone;
            the caller removes it.
        container: platform properties that concern containers; without ``container-image`` the process
            is a local one.
        purpose: a description for people: ``worker 3``, ``action 1f…/142``.
        steps: functions that run in the new process before the program starts.
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
        """The absolute path of the working directory."""
        return os.path.join(self.root, self.working_directory)

    def find_program(self) -> str:
        """Return the path of the program on this machine.

        Raises:
            FileNotFoundError, PermissionError: the message names the program.
        """
        return executable.find(self.argv[0], self.environment, self.folder)


class Launcher(Protocol):
    """One way to start processes."""

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """Start the program and return once it runs.

        Args:
            command: the program to start.
            stdin, stdout, stderr: descriptors for 0, 1 and 2; the caller keeps its copies.

        Raises:
            FileNotFoundError, PermissionError: the program is missing, or may not be executed.
            StartError: the system refused.
            RequestError: the action asks for something that this launcher can't provide, such as an
                image that does not exist.
        """


class Local:
    """A launcher without isolation; each process gets a new session.

    Args:
        spawner: starts the processes.
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
    """A launcher that gives each process a private HOME and TMPDIR, whatever its command sets.

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
    """A launcher that chooses another one by whether the action names a ``container-image``.

    Args:
        local: starts processes on this machine.
        contained: starts processes in containers.
    """

    def __init__(self, local: Launcher, contained: Launcher) -> None:
        self._local = local
        self._contained = contained

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """See `Launcher.launch`."""
        chosen = self._contained if dict(command.container).get("container-image") else self._local
        return chosen.launch(command, stdin=stdin, stdout=stdout, stderr=stderr)
