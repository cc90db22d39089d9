"""The values that `check` works with: a worker and its actions.

Nothing here reads files or starts processes; `suite_file`, `recording` and `from_actions` create suites.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rpw_fixture.client.inputs import Entry, File, Symlink
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol


def _nothing() -> Mapping[str, Entry]:
    return MappingProxyType({})


#: How most tools take a flagfile.
USUAL_FLAGFILE = "@{}"


@dataclass(frozen=True, slots=True)
class Place:
    """A line in a file that the user wrote: where an action, or the worker, is defined."""

    path: str
    line: int


def _nowhere() -> Mapping[str, Place]:
    return MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteWorker:
    """The worker under test.

    Attributes:
        command: startup arguments without ``--persistent_worker``.
        tool_inputs: the files of the tool, by path in the input root.
        protocol: protocol of the worker.
        multiplex: requests may overlap.
        sandbox: the worker understands ``sandbox_dir``.
        cancellation: the worker understands cancel requests.
        timeout: time limit for one request, seconds.
        environment: variables that the suite sets.
        working_directory: relative to the input root.
        flagfile: how the tool takes its flagfile; ``{}`` stands for the path.
        one_shot: the tool also works without ``--persistent_worker``.
        readable: absolute paths outside the input root that belong to the tool.
    """

    command: tuple[str, ...]
    tool_inputs: Mapping[str, Entry] = field(default_factory=_nothing)
    protocol: WorkerProtocol = WorkerProtocol.PROTO
    multiplex: bool = False
    sandbox: bool = False
    cancellation: bool = False
    timeout: float = 10.0
    environment: tuple[tuple[str, str], ...] = ()
    working_directory: str = ""
    flagfile: str = USUAL_FLAGFILE
    one_shot: bool = True
    readable: tuple[str, ...] = ()

    def flagfile_argument(self, path: str) -> str:
        """Return the argument of a command line that names a flagfile."""
        return self.flagfile.replace("{}", path)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SuiteAction:
    """One action; two are equal if all their attributes are.

    Attributes:
        name: its name in findings.
        arguments: the lines of its flagfile.
        inputs: its inputs by path, without the flagfile.
        outputs: declared outputs, relative to the worker's working directory.
        exit_code: the expected exit code.
        variant: how a check changed it; empty for an action of the suite.
        flagfile: path of its flagfile, relative to the working directory; default ``NAME.params``.
        do_not_cache: its result is never put into an action cache.
        identity: a digest of all attributes.
    """

    name: str
    arguments: tuple[str, ...]
    inputs: Mapping[str, Entry] = field(default_factory=_nothing)
    outputs: tuple[str, ...] = ()
    exit_code: int = 0
    variant: str = ""
    flagfile: str = ""
    do_not_cache: bool = False
    identity: str = field(init=False, default="", repr=False)

    def __post_init__(self) -> None:
        if not self.flagfile:
            object.__setattr__(self, "flagfile", f"{self.name}.params")
        hasher = hashlib.sha256()
        parts = (
            *(self.name, self.arguments, self.outputs, self.exit_code, self.variant),
            *(self.flagfile, self.do_not_cache),
        )
        hasher.update(repr(parts).encode(errors="surrogateescape"))
        for path, entry in self.inputs.items():
            hasher.update(repr((path, fingerprint(entry))).encode(errors="surrogateescape"))
        object.__setattr__(self, "identity", hasher.hexdigest())

    @property
    def title(self) -> str:
        """Its name, and how a check changed it."""
        return f"{self.name} ({self.variant})" if self.variant else self.name

    def changed(self, variant: str, **changes: object) -> SuiteAction:
        """Return a copy with other values, which ``variant`` describes."""
        values = {
            each.name: getattr(self, each.name) for each in dataclasses.fields(self) if each.init
        }
        return SuiteAction(**{**values, "variant": variant, **changes})

    def without_input(self, path: str) -> SuiteAction:
        """Return a copy without one of its inputs."""
        rest = {name: entry for name, entry in self.inputs.items() if name != path}
        return self.changed(f"without {path}", inputs=MappingProxyType(rest))

    def with_content(self, path: str, content: bytes) -> SuiteAction:
        """Return a copy with other content in one of its input files."""
        old = self.inputs[path]
        executable = isinstance(old, File) and old.is_executable
        inputs = {**self.inputs, path: File(content, executable)}
        size = _differing_bytes(old.content if isinstance(old, File) else b"", content)
        return self.changed(f"{size} of {path} changed", inputs=MappingProxyType(inputs))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SuiteAction) and other.identity == self.identity

    def __hash__(self) -> int:
        return hash(self.identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """A worker and the actions that it is checked with, in their recorded order.

    Attributes:
        worker: the worker.
        actions: the actions.
        places: where actions are defined, by name; "" for the worker; empty if no file defines them.
    """

    worker: SuiteWorker
    actions: tuple[SuiteAction, ...]
    places: Mapping[str, Place] = field(default_factory=_nowhere, compare=False, repr=False)

    def action(self, name: str) -> SuiteAction:
        """Return the action of that name.

        Raises:
            KeyError: there is none.
        """
        for each in self.actions:
            if each.name == name:
                return each
        raise KeyError(name)


def _differing_bytes(before: bytes, after: bytes) -> str:
    """Return in words how many bytes differ between two contents."""
    count = sum(one != other for one, other in zip(before, after, strict=False))
    count += abs(len(before) - len(after))
    return "1 byte" if count == 1 else f"{count} bytes"


def fingerprint(entry: Entry) -> str:
    """Return a text that is equal for equal entries."""
    if isinstance(entry, File):
        return f"{hashlib.sha256(entry.content).hexdigest()} {entry.is_executable}"
    return f"-> {entry.target}" if isinstance(entry, Symlink) else "folder"
