"""Which launchers a server uses: composed from its config, and from what the machine permits.

Isolation that the machine does not permit is replaced by the next weaker kind, and that is told: by an
`IsolationDegraded` record and a warning in the log.
"""

from __future__ import annotations

import contextlib
import logging
import resource
from collections.abc import Iterator, Mapping

from rpw_fixture.config import Config
from rpw_fixture.errors import ConfigError
from rpw_fixture.events.kinds import IsolationDegraded
from rpw_fixture.events.log import EventLog
from rpw_fixture.launching import landlock, namespaces
from rpw_fixture.launching.containers import Containers
from rpw_fixture.launching.landlock import Landlock
from rpw_fixture.launching.launch import ByImage, Launcher, Local, PrivateHome
from rpw_fixture.launching.namespaces import Namespaces
from rpw_fixture.processes.spawner import Spawner

#: What takes the place of a kind of isolation that can't be had.
_NEXT_WEAKER = {"namespaces": "landlock", "landlock": "none"}
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def launching(config: Config, log: EventLog, spawner: Spawner) -> Iterator[Launcher]:
    """Return what starts a server's processes; within the block containers may exist, afterwards none does.

    Raises:
        ConfigError: for a resource limit that this system does not have.
    """
    limits = resource_limits(config.limits)
    local = _isolated(config, log, spawner, limits)
    if not config.allow_docker:
        yield local
        return
    with contextlib.closing(Containers(config, log, spawner, limits)) as containers:
        yield ByImage(local, containers)


def resource_limits(settings: tuple[str, ...]) -> Mapping[str, tuple[int, int]]:
    """Return the limits that ``NAME=N`` settings mean, soft and hard by the name ``RLIMIT_NAME``.

    Raises:
        ConfigError: for a limit that this system does not have.
    """
    limits: dict[str, tuple[int, int]] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        full = f"RLIMIT_{name.upper()}"
        if not isinstance(getattr(resource, full, None), int):
            known = sorted(each[7:].lower() for each in dir(resource) if each.startswith("RLIMIT_"))
            raise ConfigError(f"--limit {setting}: this system has {', '.join(known)}")
        limits[full] = (int(value), int(value))
    return limits


def why_unavailable(kind: str, spawner: Spawner) -> str:
    """Return why a kind of isolation can't be had on this machine, "" when it can."""
    if kind == "landlock":
        return landlock.why_unavailable()
    return namespaces.why_unavailable(spawner) if kind == "namespaces" else ""


def _isolated(
    config: Config, log: EventLog, spawner: Spawner, limits: Mapping[str, tuple[int, int]]
) -> Launcher:
    local = Local(spawner, limits)
    kind = _best_of(config.isolation, log, spawner)
    if kind == "none":
        return local
    wrap = Landlock if kind == "landlock" else Namespaces
    return PrivateHome(wrap(local, config.isolation_readable))


def _best_of(wanted: str, log: EventLog, spawner: Spawner) -> str:
    """Return the wanted kind of isolation, or the strongest below it that can be had."""
    kind, obstacles = wanted, []
    while obstacle := why_unavailable(kind, spawner):
        obstacles.append(f"{kind}: {obstacle}")
        kind = _NEXT_WEAKER[kind]
    if kind != wanted:
        reason = "; ".join(obstacles)
        log.append(IsolationDegraded(wanted=wanted, got=kind, reason=reason))
        _log.warning("isolation is %s, not %s as wanted: %s", kind, wanted, reason)
    return kind
