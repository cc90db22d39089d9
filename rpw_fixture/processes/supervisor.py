"""A supervisor: the parent and subreaper of one program at a time. Runs inside a fork of the spawner.

The kernel gives every orphan to the nearest subreaper above it, so whatever a program starts stays below
its supervisor. Neither a session, an environment, a limit nor closed descriptors change that: which
processes belong to which program is never guessed. When the program ends, its supervisor kills what is
left, reports, and takes the next program once it has no child at all.

It also kills everything when the spawner is gone (its socket ends) or the server is (its pidfd).
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
_TEARDOWN_PATIENCE = 8.0  # of these, when a teardown must be over
_DEATH_PATIENCE = 2.0  # of these, how long a teardown waits for its process to be dead
RESCAN_MS = 20

IDLE, SPENT = b".", b"!"
"""What a supervisor says to the spawner when a program is gone: ready for the next one, or about to end
because it has a child that can't be killed."""


class Tree:
    """A program (the leader) and all that it started: the children of this process, and theirs.

    Args:
        tag: names it in requests.
        leader: its pid; 0 if it could not be started.
        teardown: (executable, argv, environment) of a command, or None.
    """

    __slots__ = (
        "_deadline",
        "_dismantler",
        "_doomed",
        "_rescan_at",
        "_teardown",
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
        self._dismantler = 0  # pid of the teardown while it runs
        self._doomed: set[int] = set()  # stopped and sent SIGKILL, not reaped yet
        self._rescan_at = self._deadline = 0.0

    def end(self) -> None:
        """From now on, kill what is left until nothing is."""
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
        """Do what can be done now; True once nothing is left, or what is left can't be killed."""
        has_children = self._reap()
        if not self.is_ending:
            return False
        now = time.monotonic()
        if self._is_dismantling(now):
            return False
        if not has_children:
            self.survivors = 0
            if sys.platform != "linux":  # orphans are not our children there
                process_tree.send_group(self.leader, signal.SIGKILL)
            return True
        if self._doomed and now < self._rescan_at:
            return False
        return self._kill_children(now)

    def _reap(self) -> bool:
        """Collect every child that has ended; False if there is no child left at all."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            if pid == self.leader and self.outcome is None:
                self._doomed.discard(pid)
                self.outcome = _outcome(status, usage)
                self.end()
            elif pid == self._dismantler:
                self._dismantler = 0
            elif pid in self._doomed:
                self._doomed.remove(pid)
                # one that had ended by itself before the signal arrived was no leftover
                self.killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def _is_dismantling(self, now: float) -> bool:
        waited = now - (self._deadline - PATIENCE)
        if self._teardown is not None:
            # A process that is not dead yet may go on to build what is taken apart meanwhile.
            if self.outcome is None and waited < _DEATH_PATIENCE:
                return True
            self._dismantle()
        if self._dismantler and waited < _TEARDOWN_PATIENCE:
            return True
        self._dismantler = 0  # one that takes too long belongs to what is killed
        return False

    def _dismantle(self) -> None:
        command, self._teardown = self._teardown, None
        # If it can't be started, the tree is killed all the same, and that is all we can do.
        with (
            contextlib.suppress(program_start.StartFailure, OSError),
            open(os.devnull, "r+b", buffering=0) as null,
        ):
            self._dismantler = program_start.start(command, b"/", [null.fileno()] * 3, None)

    def _kill_children(self, now: float) -> bool:
        """Stop all, then kill all; True if only those are left that can't be killed."""
        found = self._children()
        process_tree.freeze(self._children, self._doomed)
        # A parent that was in the middle of wait() when it was stopped may have reaped a doomed child.
        self._doomed = {pid for pid in self._doomed if process_tree.send(pid, signal.SIGKILL)}
        self._rescan_at = now + RESCAN_MS / 1000
        left = self._children()
        self.survivors = len(left)
        # Those that were there all the time and are not doomed (set-uid programs) never will be.
        is_stuck = self.outcome is not None and not self._doomed and bool(left) and left <= found
        return is_stuck or now > self._deadline

    def _children(self) -> set[int]:
        self._reap()  # among processes that fork and exit fast, most children are dead ones
        if sys.platform != "linux":
            return {self.leader} if self.outcome is None else set()
        return set(process_tree.children(os.getpid()))


class Supervisor:
    """Runs the programs that the spawner sends, one after the other.

    Args:
        link: to the spawner.
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
        self._tree: Tree | None = None
        self._status = -1
        self._failure: tuple[Any, ...] = ()  # why the program did not start
        self._is_closing = False  # the spawner ends us in order
        self._is_over = False
        self._is_lost = False  # the program was killed because the spawner was

    def run(self) -> None:
        """Serve until the spawner or the server is gone, or a program left an unkillable process."""
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
            self._obey()
        elif descriptor == self._server:
            if os.getppid() == self._spawner:  # a stopped one must see it as well
                process_tree.send(self._spawner, signal.SIGCONT)
            self._end_all()
        elif self._tree is not None:  # the server closed its status pipe
            self._end(self._tree)

    def _obey(self) -> None:
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
        self._tree = Tree(tag=tag, leader=leader, teardown=last)
        if leader:
            self._poll.register(
                self._status, 0
            )  # no events: only the error that the reader is gone
            spawner_messages.write_record(self._status, ("started", leader))
        else:  # a step may have left a process behind
            self._tree.outcome = (0, 0.0, 0.0, 0)
            self._tree.end()

    def _end(self, tree: Tree) -> None:
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

    def _finish(self, tree: Tree) -> None:
        self._end(tree)
        self._is_over = self._is_over or tree.survivors > 0
        # First this: the server's next request must find us idle.
        with contextlib.suppress(OSError):
            self._link.send(SPENT if tree.survivors else IDLE)
        spawner_messages.write_record(self._status, self._record(tree))
        os.close(self._status)
        self._tree, self._status = None, -1

    def _record(self, tree: Tree) -> tuple[Any, ...]:
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
