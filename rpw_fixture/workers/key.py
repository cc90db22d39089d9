"""The pool key: everything that two actions must have in common to share a worker process.

The client's ``persistentWorkerKey`` is opaque; the pool key adds what the server itself can see. It is
a value with named components, so that two keys can be compared and their difference described.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property, lru_cache
from typing import NamedTuple

from rpw_fixture.events.kinds import FileRecord, KeyComponents
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol

_SHOWN_HASH = 8
#: Components that count in the pool key, unless a personality says otherwise.
REFERENCE_PARTS = frozenset(
    {
        "persistentWorkerKey",
        "tool input",
        "startup argument",
        "environment",
        "protocol",
        "working directory",
        "instance name",
        "digest function",
        "cache-silo-key",
        "container",
        "ability",
    }
)
#: Components that decide which program answers, and so in which protocol.
_TOOL_PARTS = frozenset(
    {"tool input", "startup argument", "environment", "working directory", "container", "ability"}
)
#: Components that an edit of a tool changes.
_VERSION_PARTS = frozenset({"persistentWorkerKey", "tool input", "tool path"})


class Ability(StrEnum):
    """An extension of the worker protocol that an action can ask for."""

    MULTIPLEX = "multiplex"
    SANDBOX = "sandbox"
    CANCELLATION = "cancellation"


class ToolInput(NamedTuple):
    """One file of the tool: its path in the input root, its content and its executable bit.

    ``digest`` is ``hash/size``, or for a symlink ``-> target``.
    """

    path: str
    digest: str
    is_executable: bool


class ToolInputs:
    """All tool inputs of an input root, with a fingerprint that identifies them.

    Args:
        files: the files, in the order of their paths.
        fingerprint: equal for equal files; computed from them when not given.
    """

    __slots__ = ("files", "fingerprint")

    def __init__(self, files: Iterable[ToolInput], fingerprint: bytes | None = None) -> None:
        self.files = tuple(files)
        self.fingerprint = fingerprint or hashlib.sha256(repr(self.files).encode()).digest()

    def __bool__(self) -> bool:
        return bool(self.files)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ToolInputs) and other.fingerprint == self.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def records(self) -> tuple[FileRecord, ...]:
        """Return path and digest of each file, for use in events."""
        return tuple(FileRecord(each.path, each.digest) for each in self.files)


@dataclass(frozen=True, kw_only=True)
class WorkerKey:
    """The properties in which an action must equal a worker to be served by it.

    Attributes:
        client_key: ``persistentWorkerKey``.
        instance_name: instance name of the REAPI request.
        digest_function: digest function of the action.
        cache_silo_key: ``cache-silo-key``, which keeps groups of clients apart.
        container: image and docker properties, empty for local workers.
        protocol: protocol of the worker.
        abilities: those that the action asks for.
        startup_arguments: the command line without flagfiles, and ``--persistent_worker`` last.
        environment: variables by name.
        working_directory: relative to the input root.
        tool_inputs: the tool inputs as the server found them in the input root.
        platform: all platform properties.
        mnemonic: mnemonic from the client's RequestMetadata.
        parts: names of the components that count; the others may differ.
    """

    client_key: str
    instance_name: str = ""
    digest_function: str = "SHA256"
    cache_silo_key: str = ""
    container: tuple[tuple[str, str], ...] = ()
    protocol: WorkerProtocol = WorkerProtocol.PROTO
    abilities: tuple[Ability, ...] = ()
    startup_arguments: tuple[str, ...] = ()
    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str = ""
    tool_inputs: ToolInputs = field(default_factory=lambda: ToolInputs(()))
    platform: tuple[tuple[str, str], ...] = ()
    mnemonic: str = ""
    parts: frozenset[str] = REFERENCE_PARTS

    @property
    def is_multiplex(self) -> bool:
        """Whether requests may overlap."""
        return Ability.MULTIPLEX in self.abilities

    @cached_property
    def components(self) -> KeyComponents:
        """Every component that counts, with its name; the most informative first."""
        return tuple((name, value) for name, value in self._all if name in self.parts)

    @property
    def _all(self) -> KeyComponents:
        return (
            ("persistentWorkerKey", self.client_key),
            ("tool input", self.tool_inputs),
            ("startup argument", self.startup_arguments),
            ("environment", self.environment),
            ("protocol", self.protocol.value),
            ("working directory", self.working_directory),
            ("instance name", self.instance_name),
            ("digest function", self.digest_function),
            ("cache-silo-key", self.cache_silo_key),
            ("container", self.container),
            ("ability", tuple(each.value for each in self.abilities)),
            ("platform", self.platform),
            ("mnemonic", self.mnemonic),
            ("tool path", tuple(each.path for each in self.tool_inputs.files)),
        )

    @cached_property
    def digest(self) -> str:
        """Hex digest over all components."""
        return _digest_of(self.components)

    @cached_property
    def tool(self) -> str:
        """Hex digest over what identifies the worker's program, whatever the protocol."""
        return _digest_of((name, value) for name, value in self._all if name in _TOOL_PARTS)

    @cached_property
    def lineage(self) -> str:
        """Hex digest that all versions of a tool share: it leaves the tool's content out.

        It leaves the client's key out too, because most clients derive it from that content.
        """
        kept = ((name, value) for name, value in self.components if name not in _VERSION_PARTS)
        paths = tuple(each.path for each in self.tool_inputs.files)
        return _digest_of((*kept, ("tool path", paths)))

    def with_protocol(self, protocol: WorkerProtocol) -> WorkerKey:
        """Return the key of the same worker when its protocol is ``protocol``."""
        if protocol == self.protocol:
            return self
        return interned(dataclasses.replace(self, protocol=protocol))


def _digest_of(components: Iterable[tuple[str, object]]) -> str:
    hasher = hashlib.sha256()
    for name, value in components:
        encoded = value.fingerprint if isinstance(value, ToolInputs) else repr(value).encode()
        for part in (name.encode(), encoded):
            hasher.update(len(part).to_bytes(8, "big"))
            hasher.update(part)
    return hasher.hexdigest()


@lru_cache(maxsize=256)
def interned(key: WorkerKey) -> WorkerKey:
    """Return one object for all equal keys, so that its cached properties are computed once."""
    return key


def differences(old: KeyComponents, new: KeyComponents) -> list[str]:
    """Return a text for each difference between two keys; an empty list for equal keys."""
    texts: list[str] = []
    for name, before, after in _pairwise(old, new):
        texts += _component_differences(name, before, after) or [f"{name}: another order"]
    return texts


def distance(old: KeyComponents, new: KeyComponents) -> int:
    """Return the number of components in which two keys differ."""
    return sum(1 for _ in _pairwise(old, new))


def _pairwise(old: KeyComponents, new: KeyComponents) -> Iterator[tuple[str, object, object]]:
    """Yield the components that differ, those that count in only one of the keys included."""
    before, after = dict(old), dict(new)
    for name in {**before, **after}:
        if name not in before or name not in after or before[name] != after[name]:
            yield name, before.get(name, ()), after.get(name, ())


def _component_differences(name: str, before: object, after: object) -> list[str]:
    if isinstance(before, ToolInputs) and isinstance(after, ToolInputs):
        return _tool_differences(before, after)
    if name in {"environment", "container", "platform"}:
        return _mapping_differences(name, dict(_pairs(before)), dict(_pairs(after)))
    if isinstance(before, tuple) and isinstance(after, tuple):
        return _sequence_differences(name, before, after)
    return [f"{name}: {before!r} → {after!r}"]


def _tool_differences(before: ToolInputs, after: ToolInputs) -> list[str]:
    old = {each.path: each for each in before.files}
    new = {each.path: each for each in after.files}
    texts: list[str] = []
    for path in sorted(old.keys() | new.keys()):
        was, now = old.get(path), new.get(path)
        if was is None:
            texts.append(f"tool input {path}: added")
        elif now is None:
            texts.append(f"tool input {path}: removed")
        elif was.digest != now.digest:
            texts.append(f"tool input {path}: {_short(was.digest)} → {_short(now.digest)}")
        elif was.is_executable != now.is_executable:
            texts.append(
                f"tool input {path}: executable bit {'set' if now.is_executable else 'cleared'}"
            )
    return texts


def _mapping_differences(name: str, old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    texts: list[str] = []
    for each in sorted(old.keys() | new.keys()):
        if each not in old:
            texts.append(f"{name}: {each} added")
        elif each not in new:
            texts.append(f"{name}: {each} removed")
        elif old[each] != new[each]:
            texts.append(f"{name}: {each} {old[each]!r} → {new[each]!r}")
    return texts


def _sequence_differences(
    name: str, before: tuple[object, ...], after: tuple[object, ...]
) -> list[str]:
    for index, (was, now) in enumerate(zip(before, after, strict=False)):
        if was != now:
            return [f"{name} {index}: {was!r} → {now!r}"]
    if len(before) < len(after):
        return [f"{name} {len(before)}: {after[len(before)]!r} added"]
    return [f"{name} {len(after)}: {before[len(after)]!r} removed"]


def _pairs(value: object) -> Iterable[tuple[str, str]]:
    return value if isinstance(value, tuple) else ()


def _short(digest: str) -> str:
    return digest if digest.startswith("-> ") else f"{digest[:_SHOWN_HASH]}…"
