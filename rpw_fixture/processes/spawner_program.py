"""The spawner: the small child program that starts every process and cleans up after it.

Run by path as ``python -I -S spawner_program.py FD LIFELINE MARK FOLDER``; never imported. It uses the
standard library only and has one thread, so it may do what a gRPC server must not: fork, and be the
subreaper.

FD is a stream socket with the requests (`spawner_messages`). The spawner starts no program itself: its
forks do, the supervisors (`supervisor`), one for each running program and one spare.

If the other end of a status pipe is closed, the server gave the process up, and its tree is killed. If
the socket is closed or the server has died, everything is killed; the last byte sent on the socket is "."
or, if a process survived, "!". LIFELINE is the write end of a pipe that is closed when the spawner and
all supervisors are gone, so that the server can wait for that after it killed the spawner. All processes
have MARK (`process_tree`), by which the server finds them if the supervisors were killed too.
"""

# pathlib would double the start-up time.
from __future__ import annotations

import contextlib
import errno
import gc
import marshal
import os
import select
import signal
import socket
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from rpw_fixture.processes import (
        child_exits,
        guarded_process,
        process_tree,
        program_start,
        spawner_messages,
        spawner_pool,
        supervisor,
    )
else:
    # Only this file's folder, and last: the package itself must not be imported here, and its
    # modules must not hide those of the standard library.
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import child_exits
    import guarded_process
    import process_tree
    import program_start
    import spawner_messages
    import spawner_pool
    import supervisor

_QUIET_MS = 5000  # milliseconds after which spare supervisors are ended


class SpawnerProgram:
    """The event loop.

    Args:
        control: the socket with the requests.
        lifeline, mark: see the top of this file.
    """

    def __init__(self, control: socket.socket, lifeline: int, mark: int) -> None:
        self._control = control
        self._poll = select.poll()
        self._poll.register(control, select.POLLIN)
        self._guarded: guarded_process.GuardedProcess | None = None
        self._wakeup = child_exits.wakeup_descriptor()
        self._poll.register(self._wakeup, select.POLLIN)
        self._server = _watch_parent()
        if self._server >= 0:
            self._poll.register(self._server, select.POLLIN)
        program_start.raise_open_file_limit()
        self._pool = spawner_pool.SupervisorPool(
            self._poll, server=self._server, lifeline=lifeline, mark=mark
        )

    def run(self) -> int:
        """Serve until the server is gone; return how many processes could not be killed."""
        while self._serve():
            self._pool.kill_overdue()
            self._pool.kill_orphans()
        self._guard(None, is_over=True)
        return self._end()

    def _serve(self) -> bool:
        ready = self._poll.poll(0)
        if not ready:
            self._pool.prepare()  # now, while no request waits
            timeout = self._timeout()
            ready = self._poll.poll(timeout)
            if not ready and timeout == _QUIET_MS:
                self._pool.trim()
        return all(self._handle(descriptor) for descriptor, _ in ready)

    def _timeout(self) -> float | None:
        if self._pool.is_killing_orphans:
            return supervisor.RESCAN_MS
        if deadline := self._pool.deadline:
            return max(1.0, (deadline - time.monotonic()) * 1000)
        return _QUIET_MS if self._pool.has_surplus else None

    def _handle(self, descriptor: int) -> bool:
        """Handle a readable descriptor; return False once the server is gone."""
        if descriptor == self._control.fileno():
            return self._serve_one()
        if descriptor == self._wakeup:
            os.read(self._wakeup, 4096)
            self._pool.reap()
        else:
            self._pool.listen(descriptor)
        return descriptor != self._server

    def _serve_one(self) -> bool:
        received = spawner_messages.receive(self._control)
        if received is None:
            return False
        body, descriptors = received
        request = marshal.loads(body)  # noqa: S302 - only the server holds the other end
        kind, tag = request[:2]
        if kind == "guard":
            self._guard(tag)
        elif kind != "spawn":
            self._pool.forward(tag, body, is_kill=kind == "kill")
        elif len(descriptors) == 4:
            self._pool.start(tag, body, descriptors, _teardown_request(request))
        elif descriptors:  # the kernel drops descriptors that do not fit in the descriptor table
            failure = errno.EMFILE, os.strerror(errno.EMFILE), "descriptors"
            spawner_messages.write_record(descriptors[0], ("failed", *failure))
        for descriptor in descriptors:
            os.close(descriptor)
        return True

    def _guard(self, pid: int | None, *, is_over: bool = False) -> None:
        """Kill the process ``pid`` when the server is gone, and no other one; None: none."""
        if self._guarded is not None:
            if is_over:
                self._guarded.kill()
            self._guarded.release()
        self._guarded = None if pid is None else guarded_process.GuardedProcess(pid)

    def _end(self) -> int:
        """Wait until no process is left; return the number of survivors."""
        self._pool.close()
        for descriptor in (self._control.fileno(), self._server):
            if descriptor >= 0:
                self._poll.unregister(descriptor)
        deadline = time.monotonic() + 3 * supervisor.PATIENCE
        while self._pool.reap() and time.monotonic() < deadline:
            if self._pool.has_only_unkillable:
                break
            self._pool.kill_overdue()
            self._pool.kill_orphans()
            for descriptor, _ in self._poll.poll(supervisor.RESCAN_MS):
                if descriptor == self._wakeup:
                    os.read(descriptor, 4096)
                else:
                    self._pool.listen(descriptor)
        self._pool.kill_orphans()
        return len(process_tree.children(os.getpid()))


def _teardown_request(request: tuple[Any, ...]) -> bytes:
    """Return a request for the teardown of a "spawn" request as a separate program; empty for none."""
    tag, environment, teardown = request[1], request[4], request[7]
    if teardown is None:
        return b""
    return marshal.dumps(("spawn", tag, teardown[0], teardown, environment, b"/", None, None))


def _watch_parent() -> int:
    """Return a descriptor that becomes readable once the server is dead, or -1 where there is none.

    The socket alone is not enough: a fork of the server may still hold a copy of its end.
    """
    try:
        return os.pidfd_open(os.getppid())
    except (AttributeError, OSError):
        return -1


def _is_dying(server: int) -> bool:
    """Return whether the server is dead or dying; its sockets close before this process gets reparented."""
    deadline = time.monotonic() + 1.0
    while os.getppid() == server and time.monotonic() < deadline:
        time.sleep(0.005)
    return os.getppid() != server


def _remove(folder: str) -> None:
    """Remove a folder of a server that was killed; follow no mount.

    The package may be imported now, because no further module is needed that it could hide. When the
    package is not on disk any more, the next server removes the folder.
    """
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path.append(os.path.dirname(os.path.dirname(here)))
    with contextlib.suppress(ImportError):
        from rpw_fixture.support.removal import discard  # noqa: PLC0415 - needed once at most

        discard(folder)


def main(descriptor: int, lifeline: int, mark: int, scratch: str) -> None:
    """Run the spawner; the arguments are described at the top of this file.

    The folder ``scratch`` is removed once the server and all its processes are dead.
    """
    server = os.getppid()
    os.chdir("/")
    gc.disable()  # there are no cycles here, and a collection in a fork would copy every page
    for each in (descriptor, lifeline):
        os.set_inheritable(each, False)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    process_tree.become_subreaper()
    with socket.socket(fileno=descriptor) as control:
        survivors = SpawnerProgram(control, lifeline, mark).run()
        try:
            control.send(b"!" if survivors else b".")
        except OSError:  # the server is dead, or gave the spawner up
            if scratch and _is_dying(server):
                _remove(scratch)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
    os._exit(0)  # an orderly exit of the interpreter would double the time of a close
