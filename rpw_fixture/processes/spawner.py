"""Starting and killing processes from the server: `Spawner`, `Process` and `Exit`.

Every process of the server is started here. A child program does the work (`spawner_program`;
`spawner_messages` documents the messages), because a process that runs gRPC must not fork.
Each process has a status pipe, which the calling thread reads: there is no reader thread and no table
of processes. Nothing here knows the purpose of a process (worker, one-shot action).
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import threading
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rpw_fixture.processes import process_tree
from rpw_fixture.processes.spawner_link import Link, Started, StartError, SurvivorsError
from rpw_fixture.support.closing import Closeable

__all__ = ["Exit", "Process", "Setup", "SetupStep", "Spawner", "StartError", "SurvivorsError"]

# Starts that may wait for the spawner at a time: descriptors in flight count against the open file
# limit of the user, not only of this process.
_MAX_PENDING_STARTS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class SetupStep:
    """A function that runs in the new process, between fork and exec.

    Args:
        file: absolute path of a Python file that needs the standard library only. The spawner runs
            it once, however many processes use it.
        function: the name of a function in it, called as ``function(argument)``. Whatever it
            raises becomes a `StartError`.
        argument: plain data (None, bool, int, float, str, bytes, tuples, lists and dicts of them).
    """

    file: str
    function: str
    argument: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """What to change in a process before its program starts.

    Args:
        umask: its file mode creation mask; None leaves the server's.
        steps: run in order, in the working directory, before the resource limits are set.
    """

    umask: int | None = None
    steps: tuple[SetupStep, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Exit:
    """The end of a process, reported once all processes of its tree are gone.

    Args:
        status: as `subprocess.Popen.returncode`: the exit status, or minus the signal's number.
        user_seconds: CPU time of the process and the descendants it waited for.
        system_seconds: likewise, in the kernel.
        max_rss_bytes: largest resident set of one of them. Never below that of the spawner (about
            12 MiB), which Linux counts until exec.
        leftovers_killed: descendants that were alive when the tree was swept.
        survivors: descendants that could not be killed; normally 0.
        lost: the spawner, or the supervisor of this tree, was killed by another program, so the tree
            was killed too and the real status is unknown.
    """

    status: int
    user_seconds: float
    system_seconds: float
    max_rss_bytes: int
    leftovers_killed: int
    survivors: int = 0
    lost: bool = False

    @property
    def description(self) -> str:
        """A text for people: ``exit status 3``, ``killed by SIGKILL``."""
        if self.lost:
            return "killed because its spawner or supervisor was killed, exit status unknown"
        if self.status >= 0:
            return f"exit status {self.status}"
        try:
            return f"killed by {signal.Signals(-self.status).name}"
        except ValueError:
            return f"killed by signal {-self.status}"


class Spawner(Closeable):
    """A starter of processes that makes sure that none outlives it.

    Nothing runs until the first `spawn` (or `start`). Thread-safe. A spawner program that another
    program killed is replaced at the next spawn.

    Args:
        scratch: absolute path of a folder that is removed if this process dies before `close`;
            nothing else removes it then.
    """

    def __init__(self, scratch: str = "") -> None:
        self._scratch = scratch
        self._lock = threading.Lock()
        self._link: Link | None = None
        self._closed = False
        self._pending = threading.BoundedSemaphore(_MAX_PENDING_STARTS)

    @property
    def pid(self) -> int | None:
        """The process id of the spawner program, None while there is none."""
        link = self._link
        return link.pid if link else None

    def start(self) -> None:
        """Start the spawner program now, without waiting for it to be ready.

        Optional: it takes the start-up time (tens of milliseconds) out of the first `spawn`.
        """
        self._current_link()

    def spawn(
        self,
        *,
        executable: str,
        argv: Sequence[str],
        env: Mapping[str, str],
        cwd: str,
        stdin: int,
        stdout: int,
        stderr: int,
        limits: Mapping[str, tuple[int, int]] | None = None,
        setup: Setup | None = None,
        teardown: Sequence[str] | None = None,
    ) -> Process:
        """Start a program in a new session and return once it runs.

        Args:
            executable: absolute path; PATH is not searched.
            argv: all arguments, the program's name included.
            env: the whole environment; nothing is inherited.
            cwd: absolute path of the working directory.
            stdin, stdout, stderr: descriptors for 0, 1 and 2; the caller keeps its copies. The process
                has no other descriptor.
            limits: soft and hard value by name, such as ``{"RLIMIT_NOFILE": (64, 64)}``.
            setup: further changes. With it or ``limits`` a start takes about a millisecond longer.
            teardown: a command line, its program an absolute path, that removes what the process has
                outside of its tree, such as a container. It runs in the same environment for up to
                8 seconds, when the process has ended or been killed and before the rest of its tree
                is killed. It runs after the process ended, after `Process.kill_tree`, and after the
                death of this process.

        Raises:
            StartError: nothing was started.
            ValueError: a limit is unknown on this system.
        """
        request = (
            os.fsencode(executable),
            [os.fsencode(argument) for argument in argv],
            {os.fsencode(name): os.fsencode(value) for name, value in env.items()},
            os.fsencode(cwd),
            _encode_setup(limits, setup),
            [os.fsencode(argument) for argument in teardown] if teardown else None,
        )
        with self._pending:
            return self._start(request, (stdin, stdout, stderr))

    def guard(self, pid: int | None) -> None:
        """Kill a child that this process started itself, once this process is dead or `close` is called.

        What the child started is killed too, unless it made its own session. A later call takes the
        place of an earlier one; call it with None before the child is reaped. Linux only.
        """
        self._current_link().send(("guard", pid))

    def _start(self, request: tuple[Any, ...], standard: tuple[int, int, int]) -> Process:
        # A spawner that was killed a moment ago may still have taken the request along.
        for _ in range(2):
            link = self._current_link()
            started = link.spawn(request, standard)
            if started is not None:
                return Process(link, started)
            if link.is_dead():
                self._drop(link)
        raise StartError(
            errno.ECHILD,
            f"cannot start {os.fsdecode(request[0])}: the spawner or its supervisor was killed twice; "
            "find out what kills processes on this machine (out of memory?)",
            stage="spawner",
        )

    def close(self) -> None:
        """Kill everything that was started and wait until the spawner program has exited.

        Afterwards `spawn` fails. Further calls do nothing.

        Raises:
            SurvivorsError: something could not be killed within 10 seconds.
        """
        with self._lock:
            self._closed = True
            link, self._link = self._link, None
        if link is not None:
            link.close()

    def _current_link(self) -> Link:
        with self._lock:
            if self._closed:
                raise StartError(
                    errno.ESHUTDOWN,
                    "the spawner is closed: start processes before close(), or use a new Spawner",
                    stage="spawner",
                )
            if self._link is None:
                self._link = Link(self._scratch)
            return self._link

    def _drop(self, link: Link) -> None:
        with self._lock:
            if self._link is link:
                self._link = None
        link.shut_down()


class Process(Closeable):
    """A started process. Use `close` (or ``with``) when done with it.

    The methods may be called from several threads.
    """

    def __init__(self, link: Link, started: Started) -> None:
        self.pid = started.pid
        self._link = link
        self._tag = started.tag
        self._reader = started.reader
        self._lock = threading.Lock()
        self._exit: Exit | None = None

    @property
    def status_fd(self) -> int:
        """A descriptor that becomes readable when `poll` has news; -1 once closed."""
        return self._reader.descriptor

    def poll(self) -> Exit | None:
        """Return how the process ended, None while any process of its tree runs. Never block."""
        with self._lock:
            if self._exit is None and self._reader.descriptor >= 0:
                self._exit = self._read_exit()
            return self._exit

    def wait(self, timeout: float | None) -> Exit | None:
        """Wait up to ``timeout`` seconds (None: without limit) for the end; return as `poll` does."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while (ended := self.poll()) is None and self._reader.wait(deadline):
            pass
        return ended

    def terminate(self) -> None:
        """Send SIGTERM to the process group; do nothing if the process has ended."""
        self._link.send(("signal", self._tag, int(signal.SIGTERM)))

    def kill_tree(self) -> None:
        """Kill the process and all its descendants, other sessions included.

        It returns at once; `wait` returns when all are gone.
        """
        self._link.send(("kill", self._tag))

    def close(self) -> None:
        """Close the status pipe; kill the process if it still runs, without waiting for its end."""
        with self._lock:
            if self._exit is None and self._reader.descriptor >= 0:
                self.kill_tree()  # also wakes a thread that waits
            self._reader.close()

    def __del__(self) -> None:
        if self._reader.descriptor >= 0:
            message = f"unclosed process {self.pid}"
            warnings.warn(message, ResourceWarning, stacklevel=2, source=self)
            self._reader.close()

    def _read_exit(self) -> Exit | None:
        try:
            record = self._reader.read()
        except EOFError:
            return self._lost_exit()
        if record is None:
            return None
        return self._lost_exit(record[1]) if record[0] == "lost" else _exit_of(record)

    def _lost_exit(self, survivors: int = 0) -> Exit:
        if not process_tree.can_mark():
            process_tree.send_group(self.pid, signal.SIGKILL)
        if self._link.is_dead():
            self._link.shut_down()
        return Exit(
            status=-signal.SIGKILL,
            user_seconds=0.0,
            system_seconds=0.0,
            max_rss_bytes=0,
            leftovers_killed=0,
            survivors=survivors,
            lost=True,
        )


def _encode_setup(
    limits: Mapping[str, tuple[int, int]] | None, setup: Setup | None
) -> tuple[object, ...] | None:
    if not limits and setup is None:
        return None
    setup = setup or Setup()
    numbers = [(_limit_number(name), *values) for name, values in (limits or {}).items()]
    steps = [(step.file, step.function, step.argument) for step in setup.steps]
    return setup.umask, numbers, steps


def _limit_number(name: str) -> int:
    known = [entry for entry in dir(resource) if entry.startswith("RLIMIT_")]
    if name not in known:
        raise ValueError(f"unknown resource limit {name!r}; this system has {', '.join(known)}")
    number: int = getattr(resource, name)
    return number


def _exit_of(record: tuple[Any, ...]) -> Exit:
    _, status, user, system, rss, leftovers, survivors = record
    return Exit(
        status=status,
        user_seconds=user,
        system_seconds=system,
        max_rss_bytes=rss,
        leftovers_killed=leftovers,
        survivors=survivors,
    )
