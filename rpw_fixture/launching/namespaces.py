"""Isolation by namespaces: a private root folder, a private process table, no network.

Paths outside of `access.Access` do not exist for the process, and the only network is a loopback device.
The kernel and its settings must permit user namespaces for this user. `namespaces_step` does the work in
the new process.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import replace
from types import MappingProxyType

from rpw_fixture.launching import access, namespaces_step, privileges_step
from rpw_fixture.launching.launch import Launch, Launcher, Local
from rpw_fixture.processes.spawner import Process, SetupStep, Spawner, StartError

#: Folders in which programs expect to be able to write; each process gets empty ones.
_IN_MEMORY = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108 - those inside the new root
_DEVICE_LINKS = MappingProxyType(
    {
        "/dev/fd": "/proc/self/fd",
        "/dev/stdin": "/proc/self/fd/0",
        "/dev/stdout": "/proc/self/fd/1",
        "/dev/stderr": "/proc/self/fd/2",
    }
)
_PROBE_TIMEOUT = 10.0

#: An entry of a new root: kind, source and target, as in `namespaces_step.enter`.
Entry = tuple[str, str, str]


def why_unavailable(spawner: Spawner) -> str:
    """Start a process in new namespaces; return why that fails, "" when it works."""
    with tempfile.TemporaryDirectory(prefix="rpw_probe-") as folder:
        root = os.path.join(folder, "root")
        os.mkdir(root)
        probe = Launch(
            argv=("/bin/true",), environment={}, root=root, private=os.path.join(folder, "private")
        )
        null = os.open(os.devnull, os.O_RDWR)
        try:
            launcher = Namespaces(Local(spawner))
            with launcher.launch(probe, stdin=null, stdout=null, stderr=null) as process:
                ended = process.wait(_PROBE_TIMEOUT)
        except (StartError, OSError) as error:
            return str(error)
        finally:
            os.close(null)
    if ended is None or ended.status:
        return f"a process in new namespaces ended with {ended.description if ended else 'nothing'}"
    return ""


class Namespaces:
    """A launcher into new namespaces: user, mounts, process ids, network, IPC, host name.

    Args:
        inner: starts the process.
        readable: further paths that processes find in their root.
    """

    def __init__(self, inner: Launcher, readable: tuple[str, ...] = ()) -> None:
        self._inner = inner
        self._readable = readable

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """See `Launcher.launch`."""
        base = os.path.join(command.private, "new-root")
        os.makedirs(base, mode=0o700, exist_ok=True)
        allowed = access.access_of(command, self._readable)
        plan = (base, command.folder, tuple(entries(allowed)))
        step = SetupStep(file=namespaces_step.__file__, function="enter", argument=plan)
        last = SetupStep(file=privileges_step.__file__, function="drop_privileges")
        changed = replace(command, steps=(*command.steps, step, last))
        return self._inner.launch(changed, stdin=stdin, stdout=stdout, stderr=stderr)


def entries(allowed: access.Access) -> list[Entry]:
    """Return the entries of the new root, parents before their children."""
    found: dict[str, Entry] = {"/proc": ("proc", "", "/proc")}
    found |= {path: ("memory", "", path) for path in _IN_MEMORY}
    found |= {path: ("link", source, path) for path, source in _DEVICE_LINKS.items()}
    for path in allowed.readable:
        found[path] = _as_it_is(path)
    writable = (*allowed.writable, *filter(os.path.exists, access.DEVICES))
    found |= {path: ("write", path, path) for path in writable}
    return [found[path] for path in sorted(found)]


def _as_it_is(path: str) -> Entry:
    """Return the entry of a readable path; symlinks, such as ``/bin`` on most systems, stay symlinks."""
    if os.path.islink(path):
        return ("link", os.readlink(path), path)
    return ("read", path, path)
