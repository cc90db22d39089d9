"""Running processes in containers, each represented by the process of a docker-compatible program.

The spawner starts the client program (``docker run``): its standard streams are those of the process
in the container, and its end is the container's end. The container may not belong to the client's
process tree, so each has a name, and the spawner removes it by that name when the client ends or is
killed, even after the death of this server. Containers that still remain (after a power loss or a
killed spawner) have a label, and are removed when the next server starts its first container.
"""

from __future__ import annotations

import itertools
import os
import socket
import threading
from collections import defaultdict
from collections.abc import Mapping

from rpw_fixture.config import Config
from rpw_fixture.errors import RequestError
from rpw_fixture.events.kinds import ContainerStarted
from rpw_fixture.events.log import EventLog
from rpw_fixture.launching.container_command import run_arguments, spec_of
from rpw_fixture.launching.container_runtime import ContainerRuntime
from rpw_fixture.launching.launch import Launch
from rpw_fixture.processes.spawner import Process, Spawner

_serial = itertools.count(1)
#: By how much the start time of one process may seem to move when the clock is set, seconds.
_CLOCK_TOLERANCE = 2.5


class Containers:
    """A launcher that starts each process in a separate container.

    The container runtime is not used before the first one.

    Args:
        config: names the runtime and its arguments.
        log: gets a record of each container.
        spawner: runs the runtime's client.
        limits: resource limits of each process, as for `launch.Local`.

    Raises:
        EnvironmentLacksError: the runtime is not installed.
    """

    def __init__(
        self,
        config: Config,
        log: EventLog,
        spawner: Spawner,
        limits: Mapping[str, tuple[int, int]],
    ) -> None:
        self._runtime = ContainerRuntime(
            config.container_runtime, config.container_global_arguments, spawner
        )
        self._arguments = config.container_arguments
        self._log = log
        self._spawner = spawner
        self._limits = limits
        self._server = f"{server_identity()}-{next(_serial)}"
        self._numbers = itertools.count(1)
        self._cleaning = threading.Lock()
        self._is_clean = False
        self._asking: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)  # by image
        self._images: set[str] = set()

    def launch(self, command: Launch, *, stdin: int, stdout: int, stderr: int) -> Process:
        """See `Launcher.launch`; a missing image is fetched first."""
        spec = spec_of(dict(command.container))
        self._remove_abandoned()
        self._provide(spec.image)
        name = f"rpw_fixture-{self._server}-{next(self._numbers)}"
        arguments = run_arguments(
            spec,
            command,
            name=name,
            server=self._server,
            user=self._runtime.user_options,
            limits=self._limits,
            more=self._arguments,
        )
        process = self._spawner.spawn(
            executable=self._runtime.program,
            argv=self._runtime.command(*arguments),
            env=os.environ,
            cwd="/",
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            teardown=self._runtime.command("rm", "--force", "--volumes", name),
        )
        self._log.append(
            ContainerStarted(container=name, image=spec.image, purpose=command.purpose)
        )
        return process

    def close(self) -> None:
        """Remove containers of this server that still exist; normally there are none."""
        if self._is_clean:
            mine = [name for name, owner in self._leftovers().items() if owner == self._server]
            self._runtime.remove(mine)

    def _remove_abandoned(self) -> None:
        with self._cleaning:
            if not self._is_clean:
                gone = [name for name, owner in self._leftovers().items() if is_abandoned(owner)]
                self._runtime.remove(gone)
                self._is_clean = True

    def _provide(self, image: str) -> None:
        with self._asking[image]:  # actions with another image need not wait
            if image not in self._images:
                self._runtime.provide(image)
                self._images.add(image)

    def _leftovers(self) -> dict[str, str]:
        try:
            return self._runtime.containers()
        except RequestError:  # the engine does not answer; starting a container reports that
            return {}


def server_identity() -> str:
    """Return a name for this process, unique in a container engine: machine, id and start time."""
    import psutil  # noqa: PLC0415 - only servers with containers need it

    process = psutil.Process()
    return f"{_machine()}-{process.pid}-{int(process.create_time())}"


def is_abandoned(server: str) -> bool:
    """Return whether the server of a label is known to be dead: it ran on this machine and ended."""
    machine, _, rest = server.partition("-")
    parts = rest.split("-")
    if machine != _machine() or len(parts) != 3 or not all(each.isdigit() for each in parts):
        return False
    import psutil  # noqa: PLC0415 - as above

    try:
        began = psutil.Process(int(parts[0])).create_time()
    except psutil.NoSuchProcess:
        return True
    return abs(began - int(parts[1])) > _CLOCK_TOLERANCE


def _machine() -> str:
    """Return a name for this process id namespace: a machine, or a container that shares an engine."""
    try:
        processes = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        processes = 0
    name = "".join(each for each in socket.gethostname() if each.isalnum())
    return f"{name or 'host'}.{processes}"
