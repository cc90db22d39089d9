"""Isolation by Landlock: the kernel refuses what a process was not given (Linux 5.13 and later).

Opening, executing, creating and removing anything outside of `access.Access` fails. Some of what is done
by path alone is not refused, such as stat and chmod: docs/isolation.md lists it. Paths, network and process
ids are the machine's own. Needs no rights; what does the work in the new process is `landlock_step`.
"""

from __future__ import annotations

import errno
from dataclasses import replace

from rpw_fixture.launching import access, landlock_step, privileges_step
from rpw_fixture.launching.launch import Launch, Launcher
from rpw_fixture.processes.spawner import Process, SetupStep

_WHY = {
    errno.ENOSYS: "this kernel has no Landlock (Linux 5.13 and later do)",
    errno.EOPNOTSUPP: "Landlock is switched off; start the kernel with lsm=landlock,…",
    errno.EPERM: "the system call is filtered, as in some containers",
}
#: What only later versions of Landlock's interface refuse, and the first Linux with them.
_SINCE = (
    (3, "truncating files by path", "6.2"),
    (6, "signals and abstract Unix sockets", "6.12"),
    (9, "Unix sockets by path", "7.1"),
)
#: Processes look at themselves there; Landlock keeps them from looking into others.
_PROC = "/proc"


def why_unavailable() -> str:
    """Return why there is no Landlock on this machine, "" when there is."""
    try:
        landlock_step.version()
    except (OSError, AttributeError) as error:  # AttributeError: a libc without syscall()
        code = error.errno if isinstance(error, OSError) else None
        return _WHY.get(code or 0, str(error))
    return ""


def find_gaps() -> list[str]:
    """Name what this kernel's Landlock cannot refuse yet, and the first Linux that can."""
    found = landlock_step.version()
    return [f"{what} (Linux {linux})" for first, what, linux in _SINCE if found < first]


class Landlock:
    """Refuses processes whatever they were not given.

    Args:
        inner: starts the process.
        readable: paths that processes may read besides.
    """

    def __init__(self, inner: Launcher, readable: tuple[str, ...] = ()) -> None:
        self._inner = inner
        self._readable = readable

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """See `Launcher.launch`."""
        allowed = access.access_of(command, self._readable)
        rules = ((*allowed.readable, _PROC), (*allowed.writable, *access.DEVICES))
        step = SetupStep(file=landlock_step.__file__, function="restrict", argument=rules)
        last = SetupStep(file=privileges_step.__file__, function="give_up")
        changed = replace(command, steps=(*command.steps, step, last))
        return self._inner.launch(changed, stdin=stdin, stdout=stdout, stderr=stderr)
