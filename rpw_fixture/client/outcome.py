"""What running an action came to, as a value, with outputs that are fetched when they are read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from rpw_fixture.client.action import Action
from rpw_fixture.errors import RpwError
from rpw_fixture.wire.digests import Digest

#: Fetches blobs.
Fetch = Callable[[Iterable[Digest]], Mapping[Digest, bytes]]


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file that an action made: its content's digest and its executable bit."""

    digest: Digest
    is_executable: bool = False


class OutputFiles(Mapping[str, bytes]):
    """The bytes of output files by path, those inside output folders too.

    Content is fetched once, when it is first asked for. Two of them are equal when files, executable
    bits, links and folders are; with any other mapping the bytes are compared.

    Attributes:
        files: digest and executable bit of each file.
        symlinks: targets by path.
        folders: paths of output folders and of the folders in them.
    """

    def __init__(
        self,
        files: Mapping[str, OutputFile],
        *,
        symlinks: Mapping[str, str] = MappingProxyType({}),
        folders: Iterable[str] = (),
        known: Mapping[Digest, bytes] = MappingProxyType({}),
        fetch: Fetch = lambda _digests: {},
    ) -> None:
        self.files = MappingProxyType(dict(sorted(files.items())))
        self.symlinks = MappingProxyType(dict(sorted(symlinks.items())))
        self.folders = tuple(sorted(folders))
        self._known = dict(known)
        self._fetch = fetch
        self._lock = threading.Lock()

    def fetch(self) -> None:
        """Fetches everything not there yet, in as few calls as possible."""
        with self._lock:
            wanted = {file.digest for file in self.files.values()} - self._known.keys()
            if wanted:
                self._known.update(self._fetch(wanted))

    def __getitem__(self, path: str) -> bytes:
        digest = self.files[path].digest
        with self._lock:
            if digest not in self._known:
                self._known.update(self._fetch([digest]))
            return self._known[digest]

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, OutputFiles):
            return (self.files, self.symlinks, self.folders) == (
                other.files,
                other.symlinks,
                other.folders,
            )
        return isinstance(other, Mapping) and dict(self) == dict(other)

    __hash__ = None  # type: ignore[assignment]  # a mapping that compares with dict can't be hashed

    def __repr__(self) -> str:
        shown = [f"{path!r}: <{file.digest.size} bytes>" for path, file in self.files.items()]
        shown += [f"{path!r} -> {target!r}" for path, target in self.symlinks.items()]
        return "Outputs({" + ", ".join(shown) + "})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOutcome:
    """How an action ended. Equal outcomes have equal results; how they came about does not count.

    Attributes:
        exit_code: of the command, or as the worker said.
        stdout, stderr: of the action; a worker's response text is where the server puts it.
        outputs: the declared outputs that are there.
        status: name of the status, ``OK`` unless the action could not be run to its end.
        message: the status's message, or what else the server wants the user to read.
        cached: the result came from the action cache.
        action: what was run.
        digest: of the Action message, ``hash/size``, which is how events name it.
        operation: name of the operation.
        worker_name: who executed it, in the server's own words.
        worker: number of the persistent worker; None for a one-shot run, or when it is not known.
        reused: the worker had served before; None when it is not known.
        timestamps: points in time, seconds since the epoch, by their names in
            ExecutedActionMetadata without ``_timestamp``.
        logs: the server's logs of this action, such as ``worker-stderr``.
    """

    exit_code: int
    stdout: bytes
    stderr: bytes
    outputs: OutputFiles
    status: str = "OK"
    message: str = field(default="", compare=False)
    cached: bool = field(default=False, compare=False)
    action: Action = field(compare=False, repr=False)
    digest: str = field(compare=False)
    operation: str = field(default="", compare=False)
    worker_name: str = field(default="", compare=False)
    worker: int | None = field(default=None, compare=False)
    reused: bool | None = field(default=None, compare=False)
    timestamps: Mapping[str, float] = field(default_factory=dict, compare=False, repr=False)
    logs: Mapping[str, bytes] = field(default_factory=dict, compare=False, repr=False)

    __hash__ = None  # type: ignore[assignment]  # outputs can't be hashed

    @property
    def ok(self) -> bool:
        """The action ran to its end with exit code 0."""
        return self.status == "OK" and self.exit_code == 0


class ActionFailedError(RpwError):
    """An action could not be run to its end: its status is not OK.

    Attributes:
        outcome: all that is known of it.
    """

    def __init__(self, outcome: ActionOutcome) -> None:
        what = " ".join(filter(None, (outcome.action.mnemonic, outcome.action.target)))
        text = f"{what or 'action'} ({outcome.digest}): {outcome.status}: {outcome.message}"
        for name in ("stdout", "stderr"):
            said = getattr(outcome, name).decode(errors="replace").rstrip()
            text += f"\n{name}:\n{said}" if said else ""
        super().__init__(text)
        self.outcome = outcome
