"""The spawner: the small child program that starts every process and sweeps up behind it.

Run by path as ``python -I -S spawner.py FD FOLDER``; never imported. Standard library only, one thread,
so it may do what a gRPC server must not: fork, change directory, be the subreaper.

FD is a stream socket. A request is a 4-byte length and a marshalled tuple, one of
    ("spawn", tag, executable, argv, environment, cwd, setup, teardown)
    ("kill", tag)
    ("signal", tag, signal number)
and "spawn" brings four descriptors: the status pipe's write end, then stdin, stdout and stderr.
``setup`` is None, or (umask or None, limits, steps) with limits = [(resource, soft, hard)] and
steps = [(path of a Python file, name of a function in it, its argument)]. ``teardown`` is None, or a
command line that takes apart what the process has outside of its tree (a container): it is run when
the leader has ended or been killed, before the rest of the tree is, and even when the server is dead.

To the status pipe go at most two records, framed like requests:
    ("started", pid)   or   ("failed", errno, text, stage)
    ("exited", returncode, user seconds, system seconds, peak RSS bytes, leftovers, survivors)
The second is written when the tree is gone, not only its leader. If the other end of a status pipe
is closed, nobody wants that process any more and its tree is killed. If the socket is closed or the
server has died, everything is killed; the last byte sent is "." or, if somebody survived, "!".
"""

# pathlib would double the start-up time.
from __future__ import annotations

import contextlib
import marshal
import os
import resource
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rpw_fixture.processes import process_start, process_tree
else:
    # Only this file's folder, and last: the package itself must not be imported here, and its
    # module names must not hide the standard library's.
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import process_start
    import process_tree

_PATIENCE = 10.0  # seconds for SIGKILL to work; only a process stuck in the kernel takes that long
_TEARDOWN_PATIENCE = 8.0  # of these, when a teardown must be over
_DEATH_PATIENCE = 2.0  # of these, how long a teardown waits for its process to be dead
_RESCAN_MS = 20
_INT = 4  # sizeof(int) wherever Python runs
_CLOEXEC = getattr(socket, "MSG_CMSG_CLOEXEC", 0)


class Tree:
    """One started process (the leader) and what is known of its descendants."""

    __slots__ = (
        "deadline",
        "dismantler",
        "doomed",
        "killed",
        "leader",
        "outcome",
        "rescan_at",
        "status",
        "tag",
        "teardown",
    )

    def __init__(self, *, tag: int, leader: int, status: int, teardown: Any) -> None:
        self.tag = tag
        self.leader = leader
        self.status = status
        self.teardown = teardown  # (executable, argv, environment); None once started, or never had
        self.dismantler = 0  # pid of the teardown while it runs
        self.outcome: tuple[int, float, float, int] | None = None  # set once the leader is reaped
        self.doomed: set[int] = set()  # stopped and sent SIGKILL, not reaped yet
        self.killed = 0
        self.rescan_at = 0.0
        self.deadline = time.monotonic() + _PATIENCE  # restarted when the sweep begins


class Spawner:
    """The event loop and its table of trees."""

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._trees: dict[int, Tree] = {}  # by tag
        self._leaders: dict[int, Tree] = {}  # by pid, until reaped
        self._sweeping: dict[int, Tree] = {}  # by tag
        self._by_status: dict[int, Tree] = {}
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._wakeup = _wakeup_on_child_exit()
        self._poll.register(self._wakeup, select.POLLIN)
        self._server = _watch_parent()
        if self._server >= 0:
            self._poll.register(self._server, select.POLLIN)
        process_start.raise_open_file_limit()

    def run(self) -> int:
        """Serve until the server is gone; return how many processes could not be killed."""
        while self._serve():
            self._sweep_up()
        for tree in self._trees.values():
            self._sweep(tree)
        while self._trees:
            self._sweep_up()
            self._await_child_exit()
        return self._kill_strays()

    def _serve(self) -> bool:
        ready = self._poll.poll(_RESCAN_MS if self._sweeping else None)
        return all(self._handle(descriptor) for descriptor, _ in ready)

    def _sweep_up(self) -> None:
        self._reap()
        for tree in list(self._sweeping.values()):
            self._advance(tree)

    def _handle(self, descriptor: int) -> bool:
        """React to a readable descriptor; False once the server is gone."""
        if descriptor == self._control.fileno():
            return self._serve_one()
        if descriptor == self._wakeup:
            os.read(self._wakeup, 4096)
        elif tree := self._by_status.get(descriptor):
            self._sweep(tree)
        return descriptor != self._server

    def _serve_one(self) -> bool:
        received = _receive(self._control)
        if received is None:
            return False
        request, descriptors = received
        if request[0] == "spawn":
            self._spawn(request, descriptors)
        elif tree := self._trees.get(request[1]):
            if request[0] == "kill":
                self._sweep(tree)
            elif tree.leader in self._leaders:
                process_tree.send_group(tree.leader, request[2])
        return True

    def _spawn(self, request: tuple[Any, ...], descriptors: list[int]) -> None:
        _, tag, executable, argv, environment, cwd, setup, teardown = request
        if not descriptors:
            return  # not even the status pipe fitted in our table: the server reads end of file
        status, *standard = descriptors
        try:
            status = process_start.move_up(status)
            process_tree.mark_self(tag)
            pid = process_start.start((executable, argv, environment), cwd, standard, setup)
        except process_start.StartFailure as failure:
            _write(status, ("failed", *failure.args))
            os.close(status)
        else:
            last = teardown and (teardown[0], teardown, environment)
            self._adopt(Tree(tag=tag, leader=pid, status=status, teardown=last))
        finally:
            for descriptor in standard:
                os.close(descriptor)

    def _adopt(self, tree: Tree) -> None:
        self._trees[tree.tag] = self._leaders[tree.leader] = tree
        self._by_status[tree.status] = tree
        self._poll.register(tree.status, 0)  # no events: only the error that the reader is gone
        _write(tree.status, ("started", tree.leader))

    def _reap(self) -> bool:
        """Collect every child that has ended; False if there is no child left at all."""
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if pid == 0:
                return True
            tree = self._leaders.pop(pid, None)
            if tree is not None:
                tree.doomed.discard(pid)
                tree.outcome = _outcome(status, usage)
                self._sweep(tree)
            else:
                self._count_leftover(pid, status)

    def _count_leftover(self, pid: int, status: int) -> None:
        for tree in self._sweeping.values():
            if pid == tree.dismantler:
                tree.dismantler = 0
            elif pid in tree.doomed:
                tree.doomed.remove(pid)
                # one that had ended by itself before the signal arrived was no leftover
                tree.killed += os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL

    def _sweep(self, tree: Tree) -> None:
        """From now on, kill what is left of ``tree`` until nothing is."""
        if tree.status in self._by_status:
            del self._by_status[tree.status]
            self._poll.unregister(tree.status)
        if tree.tag not in self._sweeping:
            self._sweeping[tree.tag] = tree
            tree.deadline = time.monotonic() + _PATIENCE
            if tree.teardown is not None and tree.outcome is None:
                process_tree.send(tree.leader, signal.SIGKILL)

    def _dismantle(self, tree: Tree) -> None:
        command, tree.teardown = tree.teardown, None
        # If it can't be started, the tree is killed all the same, and that is all we can do.
        with (
            contextlib.suppress(process_start.StartFailure, OSError),
            open(os.devnull, "r+b", buffering=0) as null,
        ):
            process_tree.mark_self(tree.tag)
            standard = [null.fileno()] * 3
            tree.dismantler = process_start.start(command, b"/", standard, None)

    def _advance(self, tree: Tree) -> None:
        now = time.monotonic()
        if tree.doomed and now < tree.rescan_at:
            return
        waited = now - (tree.deadline - _PATIENCE)
        if tree.teardown is not None:
            # A process that is not dead yet may go on to build what is taken apart meanwhile.
            if tree.outcome is None and waited < _DEATH_PATIENCE:
                return
            self._dismantle(tree)
        if tree.dismantler and waited < _TEARDOWN_PATIENCE:
            return
        tree.dismantler = 0  # one that takes too long belongs to what is killed
        roots = self._roots(tree)
        if roots:
            process_tree.freeze(lambda: self._roots(tree), tree.doomed)
        # A parent that was in the middle of wait() when it was stopped may have reaped a doomed child.
        tree.doomed = {pid for pid in tree.doomed if process_tree.send(pid, signal.SIGKILL)}
        tree.rescan_at = now + _RESCAN_MS / 1000
        left = self._roots(tree) if roots else roots
        # Roots that were there all the time and are not doomed (set-uid programs) never will be.
        swept = tree.outcome is not None and not tree.doomed and left <= roots
        if swept or now > tree.deadline:
            self._finish(tree, survivors=len(left))

    def _roots(self, tree: Tree) -> set[int]:
        """The leader while it lives, and the orphans of the tree: they are children of ours."""
        self._reap()  # among processes that fork and exit fast, most children are dead ones
        if tree.outcome is None:
            roots = {tree.leader}
        else:
            roots = set()
            if sys.platform != "linux":
                process_tree.send_group(tree.leader, signal.SIGKILL)
        orphans = set(process_tree.children(os.getpid())) - self._leaders.keys()
        for pid in orphans:
            if process_tree.belongs(pid, tag=tree.tag, leader=tree.leader):
                roots.add(pid)
        return roots

    def _finish(self, tree: Tree, *, survivors: int) -> None:
        outcome = tree.outcome or (-signal.SIGKILL, 0.0, 0.0, 0)
        _write(tree.status, ("exited", *outcome, tree.killed, survivors))
        os.close(tree.status)
        self._leaders.pop(tree.leader, None)
        del self._trees[tree.tag], self._sweeping[tree.tag]

    def _kill_strays(self) -> int:
        """Kill children that belong to no tree, until no child is left at all."""
        deadline = time.monotonic() + _PATIENCE
        while self._reap() and time.monotonic() < deadline:
            strays: set[int] = set()
            process_tree.freeze(lambda: process_tree.children(os.getpid()), strays)
            for pid in strays:
                process_tree.send(pid, signal.SIGKILL)
            self._await_child_exit()
        return len(process_tree.children(os.getpid()))

    def _await_child_exit(self) -> None:
        if select.select([self._wakeup], [], [], _RESCAN_MS / 1000)[0]:
            os.read(self._wakeup, 4096)


def _outcome(status: int, usage: resource.struct_rusage) -> tuple[int, float, float, int]:
    unit = 1024 if sys.platform == "linux" else 1  # of ru_maxrss, in bytes
    code = os.waitstatus_to_exitcode(status)
    return code, usage.ru_utime, usage.ru_stime, usage.ru_maxrss * unit


def _receive(control: socket.socket) -> tuple[tuple[Any, ...], list[int]] | None:
    """Read one request and its descriptors; None once the server has closed its end."""
    try:
        # Not recv_fds: it drops the flag that keeps them from our children (cpython#128881).
        head, ancillary, _, _ = control.recvmsg(4, socket.CMSG_LEN(4 * _INT), _CLOEXEC)
        size = int.from_bytes(head, "little")
        body = control.recv(size, socket.MSG_WAITALL) if size else b""
    except ConnectionResetError:
        return None
    if not body or len(body) < size:
        return None
    request = marshal.loads(body)  # noqa: S302 - only our server holds the other end
    return request, [fd for _, _, data in ancillary for fd in _descriptors(data)]


def _descriptors(data: bytes) -> list[int]:
    whole = range(0, len(data) - len(data) % _INT, _INT)  # what did not fit may be cut anywhere
    descriptors = [int.from_bytes(data[at : at + _INT], sys.byteorder) for at in whole]
    if not _CLOEXEC:
        for descriptor in descriptors:
            os.set_inheritable(descriptor, False)
    return descriptors


def _write(status: int, record: tuple[Any, ...]) -> None:
    body = marshal.dumps(record)
    with contextlib.suppress(BrokenPipeError):  # the loop notices by itself that nobody reads
        os.write(status, len(body).to_bytes(4, "little") + body)


def _wakeup_on_child_exit() -> int:
    """Return a descriptor that becomes readable whenever a child ends."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    return reading


def _watch_parent() -> int:
    """Return a descriptor readable once the server is dead, or -1 where there is none.

    The socket alone would not tell while a fork of the server still holds a copy of its end.
    """
    try:
        return os.pidfd_open(os.getppid())
    except (AttributeError, OSError):
        return -1


def _is_dying(server: int) -> bool:
    """Whether our parent is no more, or about to be: its sockets close before we get another one."""
    deadline = time.monotonic() + 1.0
    while os.getppid() == server and time.monotonic() < deadline:
        time.sleep(0.005)
    return os.getppid() != server


def _remove(folder: str) -> None:
    """Remove what the server would have removed itself, had it not been killed; follow no mount.

    By now no process is left that the package's module names could disturb. Without the package on
    disk, the next server removes the folder.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.append(os.path.dirname(os.path.dirname(here)))
    with contextlib.suppress(ImportError):
        from rpw_fixture.execution.removal import discard  # noqa: PLC0415 - needed once at most

        discard(folder)


def main(descriptor: int, scratch: str) -> None:
    """Run the spawner on the socket ``descriptor``.

    Once the server is dead and nothing of its processes is left, the folder ``scratch`` is removed.
    """
    server = os.getppid()
    os.chdir("/")
    os.set_inheritable(descriptor, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    process_tree.become_subreaper()
    with socket.socket(fileno=descriptor) as control:
        survivors = Spawner(control).run()
        try:
            control.send(b"!" if survivors else b".")
        except OSError:  # nobody waits for it: either the server is dead, or it gave us up
            if scratch and _is_dying(server):
                _remove(scratch)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
    os._exit(0)  # taking the interpreter down in order would double the time of a close
