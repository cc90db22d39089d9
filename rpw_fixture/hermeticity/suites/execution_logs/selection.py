"""Selects the actions of workers in a log, by ``--mnemonic`` or by what the log shows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType

from rpw_fixture.errors import ConfigError
from rpw_fixture.hermeticity.suites.execution_logs.spawns import PROTOCOL_PROPERTY, LoggedSpawn
from rpw_fixture.wire.tool_paths import tool_paths
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol

_PROTOCOLS = ("proto", "json")
_ABILITIES = ("multiplex", "sandbox", "cancellation")
_FORM = "NAME[:proto|json[,multiplex][,sandbox][,cancellation]]"


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerTraits:
    """What ``--mnemonic`` says of the worker of some actions."""

    protocol: str = ""
    abilities: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What counts as a worker's action.

    Attributes:
        mnemonics: the traits of workers by mnemonic; empty to take what the log shows.
        tool_globs: inputs that belong to tools, where the log marks none.
    """

    mnemonics: Mapping[str, WorkerTraits] = field(default_factory=lambda: MappingProxyType({}))
    tool_globs: Sequence[str] = ()

    def chosen(self, spawns: Iterable[LoggedSpawn]) -> list[LoggedSpawn]:
        """Return the actions of workers: with a flagfile, and named or as the log shows."""
        return [each for each in spawns if self.is_wanted(each) and each.split.flagfiles]

    def is_wanted(self, spawn: LoggedSpawn) -> bool:
        """Return whether an action is, or should be, a worker's."""
        if self.mnemonics:
            return spawn.mnemonic in self.mnemonics
        return spawn.ran_on_worker or bool(spawn.key)

    def protocol(self, spawn: LoggedSpawn) -> WorkerProtocol:
        """Return the protocol of an action's worker."""
        said = self.mnemonics.get(spawn.mnemonic, WorkerTraits()).protocol
        named = said or spawn.platform.get(PROTOCOL_PROPERTY)
        is_json = named == WorkerProtocol.JSON
        return WorkerProtocol.JSON if is_json else WorkerProtocol.PROTO

    def abilities(self, spawn: LoggedSpawn) -> tuple[str, ...]:
        """Return the abilities of an action's worker."""
        return self.mnemonics.get(spawn.mnemonic, WorkerTraits()).abilities

    def tools(self, spawn: LoggedSpawn) -> frozenset[str]:
        """Return the paths of an action's tool inputs: marked ones, or else a guess."""
        marked = frozenset(each.path for each in spawn.inputs if each.is_tool)
        if marked:
            return marked
        paths = [each.path for each in spawn.inputs]
        return tool_paths(spawn.split.startup, paths, self.tool_globs)


def parse_mnemonics(values: Iterable[str]) -> Mapping[str, WorkerTraits]:
    """Return what values of ``--mnemonic`` say.

    Raises:
        ConfigError: for a value of another form.
    """
    found = {}
    for value in values:
        name, _, rest = value.partition(":")
        words = [each for each in rest.split(",") if each]
        unknown = [each for each in words if each not in (*_PROTOCOLS, *_ABILITIES)]
        protocols = [each for each in words if each in _PROTOCOLS]
        if not name or unknown or len(protocols) > 1:
            wrong = f": {unknown[0]!r} is unknown" if unknown else ""
            raise ConfigError(f"--mnemonic {value}{wrong}; it must be {_FORM}")
        abilities = tuple(each for each in _ABILITIES if each in words)
        found[name] = WorkerTraits(protocol="".join(protocols), abilities=abilities)
    return found
