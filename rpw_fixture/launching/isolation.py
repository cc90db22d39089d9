"""The launcher of a server, built from its config and from what the machine supports.

Isolation that the machine does not support is replaced by the next weaker kind, and reported by an
`IsolationDegraded` record and a warning in the log.
"""

from __future__ import annotations

import contextlib
import logging
import resource
from collections.abc import Iterator, Mapping

from rpw_fixture.config import Config
from rpw_fixture.config.choices import IsolationKind
from rpw_fixture.errors import ConfigError
from rpw_fixture.events.kinds import IsolationDegraded
from rpw_fixture.events.log import EventLog
from rpw_fixture.launching import landlock, namespaces
from rpw_fixture.launching.containers import Containers
from rpw_fixture.launching.landlock import Landlock
from rpw_fixture.launching.launch import ByImage, Launcher, Local, PrivateHome
from rpw_fixture.launching.namespaces import Namespaces
from rpw_fixture.processes.spawner import Spawner

#: The replacement of a kind of isolation that is unavailable.
_NEXT_WEAKER = {
    IsolationKind.NAMESPACES: IsolationKind.LANDLOCK,
    IsolationKind.LANDLOCK: IsolationKind.NONE,
}
_log = logging.getLogger(__name__)


@contextlib.contextmanager
def launching(config: Config, log: EventLog, spawner: Spawner) -> Iterator[Launcher]:
    """Yield the launcher of a server; containers exist only within the block.

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
    """Return soft and hard limits by the name ``RLIMIT_NAME``, from ``NAME=N`` settings.

    Raises:
        ConfigError: for a limit that this system does not have.
    """
    limits: dict[str, tuple[int, int]] = {}
    for setting in settings:
        name, _, value = setting.partition("=")
        full = f"RLIMIT_{name.upper()}"
        if not isinstance(getattr(resource, full, None), int):
            known = sorted(each[7:].lower() for each in dir(resource) if each.startswith("RLIMIT_"))
            raise ConfigError(
                f"--limit {setting}: this system has no such limit. Fix: use one of {', '.join(known)}"
            )
        limits[full] = (int(value), int(value))
    return limits


def why_unavailable(kind: IsolationKind, spawner: Spawner) -> str:
    """Return why a kind of isolation is unavailable on this machine; "" when it is available."""
    if kind is IsolationKind.LANDLOCK:
        return landlock.why_unavailable()
    return namespaces.why_unavailable(spawner) if kind is IsolationKind.NAMESPACES else ""


def _isolated(
    config: Config, log: EventLog, spawner: Spawner, limits: Mapping[str, tuple[int, int]]
) -> Launcher:
    local = Local(spawner, limits)
    kind = _best_of(IsolationKind(config.isolation), log, spawner)
    if kind is IsolationKind.NONE:
        return local
    wrap = Landlock if kind is IsolationKind.LANDLOCK else Namespaces
    return PrivateHome(wrap(local, config.isolation_readable))


def _best_of(wanted: IsolationKind, log: EventLog, spawner: Spawner) -> IsolationKind:
    """Return the wanted kind of isolation, or the strongest available one below it."""
    kind, reasons = wanted, []
    while unavailable := why_unavailable(kind, spawner):
        reasons.append(f"{kind}: {unavailable}")
        kind = _NEXT_WEAKER[kind]
    if kind is not wanted:
        reason = "; ".join(reasons)
        log.append(IsolationDegraded(wanted=wanted.value, got=kind.value, reason=reason))
        _log.warning("isolation is %s instead of %s: %s", kind, wanted, reason)
    return kind
