"""Isolation by Landlock: the kernel refuses access to other paths (Linux 5.13 and later).

Opening, executing, creating and removing anything outside of `access.Access` fails. Some operations on
a path alone still work, such as stat and chmod: docs/isolation.md lists them. The process shares the
machine's paths, network and process ids. No privileges are needed. `landlock_step` sets the rules in the
new process.
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
#: Operations that only later versions of Landlock refuse, and the first Linux with each version.
_SINCE = (
    (3, "truncating files by path", "6.2"),
    (6, "signals and abstract Unix sockets", "6.12"),
    (9, "Unix sockets by path", "7.1"),
)
#: Processes read about themselves there; Landlock keeps them from reading about others.
_PROC = "/proc"


def why_unavailable() -> str:
    """Return why Landlock is unavailable on this machine; "" when it is available."""
    try:
        landlock_step.version()
    except (OSError, AttributeError) as error:  # AttributeError: a libc without syscall()
        code = error.errno if isinstance(error, OSError) else None
        return _WHY.get(code or 0, str(error))
    return ""


def find_gaps() -> list[str]:
    """Return what this kernel's Landlock can't refuse yet, each with the first Linux that can."""
    found = landlock_step.version()
    return [f"{what} (Linux {linux})" for first, what, linux in _SINCE if found < first]


class Landlock:
    """A launcher that lets processes use only the paths of `access.Access`.

    Args:
        inner: starts the process.
        readable: further paths that processes may read.
    """

    def __init__(self, inner: Launcher, readable: tuple[str, ...] = ()) -> None:
        self._inner = inner
        self._readable = readable

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """See `Launcher.launch`."""
        allowed = access.access_of(command, self._readable)
        rules = ((*allowed.readable, _PROC), (*allowed.writable, *access.DEVICES))
        step = SetupStep(file=landlock_step.__file__, function="restrict", argument=rules)
        last = SetupStep(file=privileges_step.__file__, function="drop_privileges")
        changed = replace(command, steps=(*command.steps, step, last))
        return self._inner.launch(changed, stdin=stdin, stdout=stdout, stderr=stderr)
