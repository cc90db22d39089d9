"""The spawner's table of supervisors: which are idle, and which program each of them runs.

Runs inside the spawner. When a supervisor is killed or stopped, only its program is lost: the processes
below it become children of the spawner, which kills them, and the program is reported as lost.
"""

# pathlib would double the start-up time of the spawner.
from __future__ import annotations

import contextlib
import marshal
import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from rpw_fixture.processes import process_tree, program_start, spawner_messages, supervisor
else:
    import process_tree
    import program_start
    import spawner_messages
    import supervisor

_SEND_PATIENCE = 2.0  # seconds a supervisor may take to accept a request
_KILL_PATIENCE = supervisor.PATIENCE + 2.0  # and to have killed its tree
_CLOSE = marshal.dumps(("close", 0))  # to supervisors: a program that ends now is not "lost"
_LAST_PATIENCE = 1.0  # for what supervisors could not kill, when everything ends
_ATTEMPTS = 3  # supervisors that a request is offered to


class SupervisorHandle:
    """One supervisor process, and the program that it runs, if any."""

    __slots__ = ("deadline", "link", "pid", "status", "tag", "teardown")

    def __init__(self, pid: int, link: socket.socket) -> None:
        self.pid = pid
        self.link = link
        self.tag: int | None = None  # None: idle
        self.status = -1  # a copy of the program's status pipe, to report its loss
        self.teardown: bytes = b""  # a request for another supervisor, should this one be killed
        self.deadline = 0.0  # when its tree must be gone; 0 while it may run

    def clear_program(self) -> None:
        """Close the descriptors of the program, which has ended."""
        os.close(self.status)
        self.tag, self.status, self.teardown, self.deadline = None, -1, b"", 0.0


class SupervisorPool:
    """Supervisors, started when they are needed.

    Args:
        poll: gets and loses their sockets.
        server: a pidfd of the server, or -1.
        lifeline: a descriptor that every supervisor keeps open as long as it lives.
        mark: mark of their processes.
    """

    def __init__(self, poll: select.poll, *, server: int, lifeline: int, mark: int) -> None:
        self._poll = poll
        self._server = server
        self._lifeline = lifeline
        self._mark = mark
        self._idle: list[SupervisorHandle] = []  # the last one is used first
        self._by_tag: dict[int, SupervisorHandle] = {}
        self._by_pid: dict[int, SupervisorHandle] = {}
        self._by_link: dict[int, SupervisorHandle] = {}
        self._lost: list[SupervisorHandle] = []  # killed; their processes are not all gone yet
        self._orphans_until = 0.0  # until when children that are not supervisors are killed
        self._orphan_patience = supervisor.PATIENCE
        self._unkillable: set[int] = set()  # of these, those that can't be killed

    @property
    def is_killing_orphans(self) -> bool:
        """Whether children that are not supervisors are being killed."""
        return bool(self._orphans_until)

    @property
    def deadline(self) -> float:
        """Time by which the next supervisor must be done, on the monotonic clock; 0 for none."""
        deadlines = (handle.deadline for handle in self._by_tag.values())
        return min(filter(None, deadlines), default=0.0)

    @property
    def has_surplus(self) -> bool:
        """Whether more supervisors are idle than the next program needs."""
        return len(self._idle) > 1

    @property
    def has_only_unkillable(self) -> bool:
        """Whether only children that can't be killed are left."""
        return not self._by_pid and not self._orphans_until and bool(self._unkillable)

    def prepare(self) -> None:
        """Start an idle supervisor for the next program, if possible."""
        if not self._idle:
            try:
                self._idle.append(self._new_supervisor())
            except OSError:
                return  # a start that needs one fails then

    def trim(self) -> None:
        """End all idle supervisors except one."""
        while len(self._idle) > 1:
            self._close_link(self._idle.pop(0))

    def start(self, tag: int, body: bytes, descriptors: list[int], teardown: bytes) -> None:
        """Pass a "spawn" request to a supervisor; write a failure to its status pipe."""
        status = descriptors[0]
        try:
            is_given = any(
                self._give(self._take_idle(), tag, body, descriptors, teardown)
                for _ in range(_ATTEMPTS)
            )
            if not is_given:
                spawner_messages.write_record(status, ("lost", 0))
        except OSError as error:
            failure = error.errno or 0, error.strerror or str(error), "spawner"
            spawner_messages.write_record(status, ("failed", *failure))

    def forward(self, tag: int, body: bytes, *, is_kill: bool) -> None:
        """Forward a request about a program; do nothing if it has ended."""
        handle = self._by_tag.get(tag)
        if handle is None:
            return
        if is_kill and not handle.deadline:
            handle.deadline = time.monotonic() + _KILL_PATIENCE
        if not spawner_messages.forward(handle.link, body, []):
            process_tree.send(handle.pid, signal.SIGKILL)

    def listen(self, descriptor: int) -> None:
        """Read a supervisor's message; do nothing for another descriptor."""
        handle = self._by_link.get(descriptor)
        if handle is None:
            return
        message = _read(handle.link)
        if message is None:  # the event was that of an earlier socket with the same number
            return
        if not message:  # it is ending, or dead: the rest follows when it is reaped
            self._poll.unregister(descriptor)
            del self._by_link[descriptor]
        elif handle.tag is not None:
            del self._by_tag[handle.tag]
            handle.clear_program()
            if message == supervisor.IDLE:
                self._idle.append(handle)

    def reap(self) -> bool:
        """Reap children, and kill stopped supervisors; return False when no child is left."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            handle = self._by_pid.get(pid)
            if os.WIFSTOPPED(status):
                if handle is not None:
                    _kill_with_tree(pid)
            elif handle is not None:
                self._on_death(handle)
            else:
                self._unkillable.discard(pid)
                self._look_for_orphans()

    def kill_overdue(self) -> None:
        """Kill supervisors that did not kill their tree in time."""
        now = time.monotonic()
        for handle in self._by_tag.values():
            if handle.deadline and now > handle.deadline:
                _kill_with_tree(handle.pid)

    def kill_orphans(self) -> None:
        """Kill children that are not supervisors, until none is left; then report the lost programs."""
        if not self._orphans_until:
            return
        orphans = self._orphans()
        if orphans and time.monotonic() < self._orphans_until:
            frozen: set[int] = set()
            process_tree.freeze(self._orphans, frozen)
            for pid in frozen:
                process_tree.send(pid, signal.SIGKILL)
            return
        self._unkillable |= orphans
        self._orphans_until = 0.0
        for handle in self._lost:
            spawner_messages.write_record(handle.status, ("lost", len(orphans)))
            handle.clear_program()
        self._lost.clear()

    def close(self) -> None:
        """Make all supervisors kill their trees and end."""
        for handle in self._by_pid.values():
            spawner_messages.forward(handle.link, _CLOSE, [])
            with contextlib.suppress(OSError):  # it is dead already
                handle.link.shutdown(socket.SHUT_WR)
            handle.deadline = time.monotonic() + _KILL_PATIENCE
        self._idle.clear()
        self._orphan_patience = _LAST_PATIENCE

    def _take_idle(self) -> SupervisorHandle:
        return self._idle.pop() if self._idle else self._new_supervisor()

    def _give(
        self,
        handle: SupervisorHandle,
        tag: int,
        body: bytes,
        descriptors: list[int],
        teardown: bytes,
    ) -> bool:
        """Pass a program to a supervisor; kill the supervisor if it does not accept it."""
        try:
            status = os.dup(descriptors[0])
        except OSError:
            self._idle.append(handle)
            raise
        if not spawner_messages.forward(handle.link, body, descriptors):
            os.close(status)
            process_tree.send(handle.pid, signal.SIGKILL)
            return False
        handle.tag, handle.status, handle.teardown = tag, status, teardown
        self._by_tag[tag] = handle
        return True

    def _new_supervisor(self) -> SupervisorHandle:
        ours, theirs = socket.socketpair()
        try:
            pid = os.fork()
        except OSError:
            ours.close()
            theirs.close()
            raise
        if pid == 0:
            _be_supervisor(theirs, self._server, self._lifeline, self._mark)
        theirs.close()
        ours.settimeout(_SEND_PATIENCE)
        handle = self._by_pid[pid] = self._by_link[ours.fileno()] = SupervisorHandle(pid, ours)
        self._poll.register(ours, select.POLLIN)
        return handle

    def _on_death(self, handle: SupervisorHandle) -> None:
        """Clean up after a dead supervisor; processes of its program are children of the spawner now."""
        # Its last message may say that the program had ended.
        if handle.tag is not None and _read(handle.link):
            del self._by_tag[handle.tag]
            handle.clear_program()
        del self._by_pid[handle.pid]
        self._close_link(handle)
        if handle in self._idle:
            self._idle.remove(handle)
        self._look_for_orphans()
        if handle.tag is None:
            return
        del self._by_tag[handle.tag]
        self._lost.append(handle)
        if handle.teardown:
            with contextlib.suppress(OSError):
                self._run_teardown(handle)

    def _run_teardown(self, handle: SupervisorHandle) -> None:
        """Run the teardown of a lost program in another supervisor; do not wait for its end."""
        null = os.open(os.devnull, os.O_RDWR)
        self.start(-handle.pid, handle.teardown, [null] * 4, b"")
        os.close(null)

    def _close_link(self, handle: SupervisorHandle) -> None:
        if self._by_link.pop(handle.link.fileno(), None) is not None:
            self._poll.unregister(handle.link)
        handle.link.close()

    def _look_for_orphans(self) -> None:
        if not self._orphans_until:
            self._orphans_until = time.monotonic() + self._orphan_patience

    def _orphans(self) -> set[int]:
        children = set(process_tree.children(os.getpid()))
        return children - self._by_pid.keys() - self._unkillable


def _kill_with_tree(pid: int) -> None:
    """Kill a broken supervisor after everything below it, so that no orphan is left."""
    frozen: set[int] = set()
    process_tree.freeze(lambda: process_tree.children(pid), frozen)
    for each in (*frozen, pid):
        process_tree.send(each, signal.SIGKILL)


def _read(link: socket.socket) -> bytes | None:
    """Return the supervisor's message: None when there is none yet, empty bytes at its end."""
    try:
        return link.recv(1, socket.MSG_DONTWAIT)
    except BlockingIOError:
        return None
    except OSError:  # it died over unread requests
        return b""


def _be_supervisor(link: socket.socket, server: int, lifeline: int, mark: int) -> NoReturn:
    """Run as a supervisor, in the fork."""
    try:
        _close_all_but({0, 1, 2, link.fileno(), server, lifeline})
        # A new process group becomes orphaned when the spawner dies: the kernel then continues
        # its stopped processes.
        os.setpgid(0, 0)
        process_tree.become_subreaper()
        process_tree.mark_self(mark)
        program_start.lower_open_file_limit()
        supervisor.Supervisor(link, server).run()
    except BaseException:  # noqa: BLE001 - a fork must never return into the spawner's loop
        import traceback  # noqa: PLC0415 - a bug of this program

        traceback.print_exc()
    finally:
        os._exit(0)


def _close_all_but(kept: set[int]) -> None:
    """Close the descriptors of other supervisors, whose sockets would never end otherwise."""
    end = 1 << 20 if sys.platform == "linux" else 1 << 16  # one system call, or one for each
    previous = -1
    for descriptor in sorted({*kept, end} - {-1}):
        # Not an empty range: one that begins at 0 means every descriptor to Python.
        if descriptor > previous + 1:
            os.closerange(previous + 1, descriptor)
        previous = descriptor
