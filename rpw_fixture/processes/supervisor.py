"""A supervisor: the parent and subreaper of one program at a time. Runs inside a fork of the spawner.

The kernel gives every orphan to the nearest subreaper above it, so whatever a program starts stays below
its supervisor. No session, environment, limit or closed descriptor changes that: the supervisor always
knows which processes belong to its program. When the program ends, the supervisor kills the remaining
processes, reports, and takes the next program once it has no child.

It also kills everything when the spawner is gone (its socket ends) or the server is gone (its pidfd).
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import resource
    import socket
    from typing import Any

    from rpw_fixture.processes import child_exits, process_tree, program_start, spawner_messages
else:
    import child_exits
    import process_tree
    import program_start
    import spawner_messages

PATIENCE = 10.0  # seconds for SIGKILL to work; only a process stuck in the kernel takes that long
_TEARDOWN_PATIENCE = 8.0  # seconds, part of PATIENCE, in which a teardown must end
_DEATH_PATIENCE = 2.0  # seconds, part of PATIENCE, that a teardown waits for its process to be dead
RESCAN_MS = 20

IDLE, SPENT = b".", b"!"
"""The supervisor's messages to the spawner when a program is gone: ready for the next one, or about to
end because a child can't be killed."""


class ProcessTree:
    """A program (the leader) and everything that it started: all descendants of this process.

    Args:
        tag: names it in requests.
        leader: pid of the program; 0 if it could not be started.
        teardown: (executable, argv, environment) of a command, or None.
    """

    __slots__ = (
        "_deadline",
        "_killed_unreaped",
        "_rescan_at",
        "_teardown",
        "_teardown_pid",
        "is_ending",
        "killed",
        "leader",
        "outcome",
        "survivors",
        "tag",
    )

    def __init__(self, *, tag: int, leader: int, teardown: Any) -> None:
        self.tag = tag
        self.leader = leader
        self.outcome: tuple[int, float, float, int] | None = None  # set once the leader is reaped
        self.is_ending = False
        self.killed = 0
        self.survivors = 0
        self._teardown = teardown  # None once started, or if there is none
        self._teardown_pid = 0  # pid of the teardown while it runs
        self._killed_unreaped: set[int] = set()  # stopped and sent SIGKILL, not reaped yet
        self._rescan_at = self._deadline = 0.0

    def end(self) -> None:
        """Begin to kill what is left of the tree; `advance` continues."""
        if self.is_ending:
            return
        self.is_ending = True
        self._deadline = time.monotonic() + PATIENCE
        if self._teardown is not None and self.outcome is None:
            process_tree.send(self.leader, signal.SIGKILL)

    def signal(self, number: int) -> None:
        """Send a signal to the leader's process group."""
        if self.outcome is None:
            process_tree.send_group(self.leader, number)

    def advance(self) -> bool:
        """Do the next steps; return True once nothing is left, or only what can't be killed."""
        has_children = self._reap()
        if not self.is_ending:
            return False
        now = time.monotonic()
        if self._is_tearing_down(now):
            return False
        if not has_children:
            self.survivors = 0
            if sys.platform != "linux":  # orphans do not become children of this process there
                process_tree.send_group(self.leader, signal.SIGKILL)
            return True
        if self._killed_unreaped and now < self._rescan_at:
            return False
        return self._kill_children(now)

    def _reap(self) -> bool:
        """Reap every child that has ended; return False when no child is left."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.leader and self.outcome is None:
                self._killed_unreaped.discard(pid)
                self.outcome = _outcome(status, usage)
                self.end()
            elif pid == self._teardown_pid:
                self._teardown_pid = 0
            elif pid in self._killed_unreaped:
                self._killed_unreaped.remove(pid)
                # a process that ended before the signal arrived was not a leftover
                self.killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def _is_tearing_down(self, now: float) -> bool:
        waited = now - (self._deadline - PATIENCE)
        if self._teardown is not None:
            # A process that still lives may create what the teardown removes.
            if self.outcome is None and waited < _DEATH_PATIENCE:
                return True
            self._start_teardown()
        if self._teardown_pid and waited < _TEARDOWN_PATIENCE:
            return True
        self._teardown_pid = 0  # a teardown that takes too long is killed with the tree
        return False

    def _start_teardown(self) -> None:
        command, self._teardown = self._teardown, None
        # If the teardown can't be started, the tree is killed anyway.
        with (
            contextlib.suppress(program_start.StartFailure, OSError),
            open(os.devnull, "r+b", buffering=0) as null,
        ):
            self._teardown_pid = program_start.start(command, b"/", [null.fileno()] * 3, None)

    def _kill_children(self, now: float) -> bool:
        """Stop all children, then kill them; return True if only those that can't be killed are left."""
        found = self._children()
        process_tree.freeze(self._children, self._killed_unreaped)
        # A parent that was in wait() when it was stopped may have reaped a child that was killed.
        self._killed_unreaped = {
            pid for pid in self._killed_unreaped if process_tree.send(pid, signal.SIGKILL)
        }
        self._rescan_at = now + RESCAN_MS / 1000
        left = self._children()
        self.survivors = len(left)
        # Those that took no signal in this pass (set-uid programs) never will.
        is_stuck = (
            self.outcome is not None and not self._killed_unreaped and bool(left) and left <= found
        )
        return is_stuck or now > self._deadline

    def _children(self) -> set[int]:
        self._reap()  # if processes fork and exit fast, most children are dead already
        if sys.platform != "linux":
            return {self.leader} if self.outcome is None else set()
        return set(process_tree.children(os.getpid()))


class Supervisor:
    """The event loop that runs the programs that the spawner sends, one after the other.

    Args:
        link: socket to the spawner.
        server: a pidfd of the server, or -1.
    """

    def __init__(self, link: socket.socket, server: int) -> None:
        self._link = link
        self._server = server
        self._spawner = os.getppid()
        self._wakeup = child_exits.wakeup_descriptor()
        self._poll = select.poll()
        for descriptor in (link.fileno(), self._wakeup, server):
            if descriptor >= 0:
                self._poll.register(descriptor, select.POLLIN)
        self._tree: ProcessTree | None = None
        self._status = -1
        self._failure: tuple[Any, ...] = ()  # why the program did not start
        self._is_closing = False  # the spawner ends this supervisor in order
        self._is_over = False
        self._is_lost = False  # the program was killed because the spawner was

    def run(self) -> None:
        """Serve until the spawner or the server is gone, or a program leaves an unkillable process."""
        while self._tree is not None or not self._is_over:
            is_ending = self._tree is not None and self._tree.is_ending
            for descriptor, _ in self._poll.poll(RESCAN_MS if is_ending else None):
                self._handle(descriptor)
            if self._tree is not None and self._tree.advance():
                self._finish(self._tree)

    def _handle(self, descriptor: int) -> None:
        if descriptor == self._wakeup:
            os.read(descriptor, 4096)
        elif descriptor == self._link.fileno():
            self._handle_request()
        elif descriptor == self._server:
            if os.getppid() == self._spawner:  # a stopped spawner must notice it too
                process_tree.send(self._spawner, signal.SIGCONT)
            self._end_all()
        elif self._tree is not None:  # the server closed its status pipe
            self._end(self._tree)

    def _handle_request(self) -> None:
        received = spawner_messages.receive(self._link)
        if received is None:
            is_running = self._tree is not None and self._tree.outcome is None
            self._is_lost = is_running and not self._is_closing
            self._end_all()
            return
        request = marshal.loads(received[0])  # noqa: S302 - the server's, passed on by the spawner
        if request[0] == "spawn":
            self._start(request, received[1])
        elif request[0] == "close":
            self._is_closing = True
        elif self._tree is not None and self._tree.tag == request[1]:
            if request[0] == "kill":
                self._end(self._tree)
            else:
                self._tree.signal(request[2])

    def _start(self, request: tuple[Any, ...], descriptors: list[int]) -> None:
        _, tag, executable, argv, environment, cwd, setup, teardown = request
        self._status, *standard = descriptors
        leader, self._failure = 0, ()
        try:
            leader = program_start.start((executable, argv, environment), cwd, standard, setup)
        except program_start.StartFailure as failure:
            self._failure = failure.args
        finally:
            for descriptor in standard:
                os.close(descriptor)
        last = (teardown[0], teardown, environment) if teardown and leader else None
        self._tree = ProcessTree(tag=tag, leader=leader, teardown=last)
        if leader:
            # No events: poll reports only the error that the reader is gone.
            self._poll.register(self._status, 0)
            spawner_messages.write_record(self._status, ("started", leader))
        else:  # a step may have left a process behind
            self._tree.outcome = (0, 0.0, 0.0, 0)
            self._tree.end()

    def _end(self, tree: ProcessTree) -> None:
        with contextlib.suppress(KeyError):  # done before, or not registered at all
            self._poll.unregister(self._status)
        tree.end()

    def _end_all(self) -> None:
        self._is_over = True
        for descriptor in (self._link.fileno(), self._server):
            with contextlib.suppress(KeyError, ValueError):
                self._poll.unregister(descriptor)
        if self._tree is not None:
            self._end(self._tree)

    def _finish(self, tree: ProcessTree) -> None:
        self._end(tree)
        self._is_over = self._is_over or tree.survivors > 0
        # First this: the server's next request must find this supervisor idle.
        with contextlib.suppress(OSError):
            self._link.send(SPENT if tree.survivors else IDLE)
        spawner_messages.write_record(self._status, self._record(tree))
        os.close(self._status)
        self._tree, self._status = None, -1

    def _record(self, tree: ProcessTree) -> tuple[Any, ...]:
        if self._failure:
            return ("failed", *self._failure)
        if self._is_lost:
            return ("lost", tree.survivors)
        outcome = tree.outcome or (-signal.SIGKILL, 0.0, 0.0, 0)
        return ("exited", *outcome, tree.killed, tree.survivors)


def _outcome(status: int, usage: resource.struct_rusage) -> tuple[int, float, float, int]:
    unit = 1024 if sys.platform == "linux" else 1  # of ru_maxrss, in bytes
    code = os.waitstatus_to_exitcode(status)
    return code, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * unit
