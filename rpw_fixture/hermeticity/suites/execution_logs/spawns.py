"""One action of an execution log, whatever the format of the log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from rpw_fixture.wire import flagfiles

#: Runners whose actions went to a persistent worker.
_WORKER_RUNNERS = frozenset(("worker", "multiplex-worker", "sandboxed-worker"))
KEY_PROPERTY, PROTOCOL_PROPERTY = "persistentWorkerKey", "persistentWorkerProtocol"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedFile:
    """An input or an output.

    Attributes:
        path: relative to the execution root.
        digest: ``hash/size``; "" if the log has none, as of empty files.
        function: name of the digest function, as Bazel writes it.
        target: of a symlink that is not followed; "" for a file.
        is_tool: whether the log marks it as an input of the tool.
        source: the path it was made from, if that differs, as of runfiles.
    """

    path: str
    digest: str = ""
    function: str = ""
    target: str = ""
    is_tool: bool = False
    source: str = ""

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return int(self.digest.partition("/")[2] or 0)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoggedSpawn:
    """An action that ran as a process or on a worker.

    Attributes:
        arguments: its command line.
        environment: its variables.
        platform: its platform properties.
        inputs, outputs: its files.
        listed_outputs: the declared outputs, made or not.
        mnemonic, target: Bazel's names for it; old logs have no target.
        runner: what ran it, such as ``worker``.
        timeout: its time limit in seconds; 0 for none.
        exit_code: its exit code.
        status: Bazel's word for what went wrong; "" for success.
    """

    arguments: tuple[str, ...]
    environment: tuple[tuple[str, str], ...]
    platform: Mapping[str, str]
    inputs: tuple[LoggedFile, ...]
    outputs: tuple[LoggedFile, ...]
    listed_outputs: tuple[str, ...]
    mnemonic: str
    target: str
    runner: str
    timeout: float = 0.0
    exit_code: int = 0
    status: str = ""

    @property
    def name(self) -> str:
        """Its target or else its first output, and its mnemonic."""
        what = self.target or next(iter(self.listed_outputs), "")
        return f"{what} {self.mnemonic}".strip()

    @property
    def split(self) -> flagfiles.SplitCommandLine:
        """Its command line in two parts: the worker's, and the flagfiles."""
        return flagfiles.split(self.arguments)

    @property
    def ran_on_worker(self) -> bool:
        """Whether a persistent worker of Bazel's ran it."""
        return self.runner in _WORKER_RUNNERS

    @property
    def key(self) -> str:
        """Its ``persistentWorkerKey``; "" without one."""
        return self.platform.get(KEY_PROPERTY, "")
