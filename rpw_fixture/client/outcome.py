"""`ActionOutcome`: how an action ended, as a value; large outputs are fetched when they are read."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from rpw_fixture.client.action import Action
from rpw_fixture.errors import ConfigError, RpwError
from rpw_fixture.wire.digests import Digest

#: First characters of a digest in messages.
_SHOWN_DIGEST = 12
#: A function that downloads blobs.
Fetch = Callable[[Iterable[Digest]], Mapping[Digest, bytes]]
#: What `run` raises for: `ActionOutcome.raise_for`.
Check = bool | Literal["exit"]


@dataclass(frozen=True, slots=True)
class OutputFile:
    """An output file: the digest of its content, and its executable bit."""

    digest: Digest
    is_executable: bool = False


class MissingOutputError(KeyError):
    """The action made no such output; the message says what it made instead."""

    def __str__(self) -> str:
        """Return the message; a KeyError would show it in quotes, on one line."""
        return str(self.args[0])


class OutputFiles(Mapping[str, bytes]):
    """The content of output files by path, including files inside output folders.

    Content is fetched once, when it is first read. Two values are equal if their files, executable
    bits, links and folders are equal; compared with any other mapping, only the content counts.

    Attributes:
        files: digest and executable bit of each file.
        symlinks: target of each link, by path.
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
        why_missing: Callable[[str], str] | None = None,
    ) -> None:
        self.files = MappingProxyType(dict(sorted(files.items())))
        self.symlinks = MappingProxyType(dict(sorted(symlinks.items())))
        self.folders = tuple(sorted(folders))
        self._known = dict(known)
        self._fetch = fetch
        self._why_missing = why_missing
        self._lock = threading.Lock()

    def fetch(self) -> None:
        """Fetch all content not fetched yet, in as few calls as possible."""
        with self._lock:
            wanted = {file.digest for file in self.files.values()} - self._known.keys()
            if wanted:
                self._known.update(self._fetch(wanted))

    def __getitem__(self, path: str) -> bytes:
        if path not in self.files and self._why_missing is not None:
            raise MissingOutputError(self._why_missing(path))
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

    __hash__ = None  # type: ignore[assignment]  # a mapping that compares with dict cannot be hashed

    def __repr__(self) -> str:
        shown = [f"{path!r}: <{file.digest.size} bytes>" for path, file in self.files.items()]
        shown += [f"{path!r} -> {target!r}" for path, target in self.symlinks.items()]
        return "Outputs({" + ", ".join(shown) + "})"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionOutcome:
    """How an action ended. Two outcomes are equal if their results are; how they came about is ignored.

    Attributes:
        exit_code: of the command, or from the work response.
        stdout, stderr: of the action; the server decides which of them has the output of a work
            response.
        outputs: the declared outputs that the action made.
        status: name of the status code; ``OK`` unless the action could not be executed to its end.
        message: message of the status, or other text of the server for the user.
        cached: whether the result came from the action cache.
        action: the action.
        digest: of the Action message, ``hash/size``, as in events.
        operation: name of the operation.
        worker_name: what the server calls the machine or worker that executed it.
        worker: number of the persistent worker; None for a one-shot run, or if it is not known.
        reused: whether the worker had served before; None if it is not known.
        timestamps: seconds since the epoch, by field name in ExecutedActionMetadata without
            ``_timestamp``.
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

    __hash__ = None  # type: ignore[assignment]  # outputs cannot be hashed

    def raise_for(self, check: Check) -> None:
        """Raise if the action failed.

        Args:
            check: True for a status other than OK, ``"exit"`` for an exit code other than 0 too, False
                for neither.

        Raises:
            ActionFailedError: it failed.
            ConfigError: ``check`` is none of these.
        """
        __tracebackhide__ = True
        if check not in {True, False, "exit"}:
            raise ConfigError(f'check={check!r}: write True, False or "exit"')
        if (check and self.status != "OK") or (check == "exit" and self.exit_code):
            raise ActionFailedError(self)

    @property
    def ok(self) -> bool:
        """Whether the status is OK and the exit code 0."""
        return self.status == "OK" and self.exit_code == 0


class ActionFailedError(RpwError):
    """An action was not executed to its end: its status is not OK; or its exit code is not 0.

    Attributes:
        outcome: the whole outcome.
    """

    __module__ = "rpw_fixture"

    def __init__(self, outcome: ActionOutcome) -> None:
        what = " ".join(filter(None, (outcome.action.mnemonic, outcome.action.target)))
        short = f"{outcome.digest[:_SHOWN_DIGEST]}…"
        ending = outcome.status if outcome.status != "OK" else f"exit code {outcome.exit_code}"
        text = f"{what or 'action'} ({short}): {ending}: {outcome.message}"
        for name in ("stdout", "stderr"):
            stream = getattr(outcome, name).decode(errors="replace").rstrip()
            text += f"\n{name}:\n{stream}" if stream else ""
        super().__init__(text)
        self.outcome = outcome
