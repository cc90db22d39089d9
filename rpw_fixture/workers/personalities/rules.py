"""What servers do differently: the vocabulary in which a personality is written down.

Here live the choices and the record that holds one of each; whose choices they are stands in one
file for each personality. A rule carries its source. What is not known of a server is said so, and
is then the same as in `reference`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from rpw_fixture.wire.flagfiles import Split

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SourcedRule(Generic[T]):
    """One rule of a personality.

    Attributes:
        value: what holds.
        source: who says so; empty when nobody could be found who does.
    """

    value: T
    source: str

    @property
    def is_known(self) -> bool:
        """Whether it has a source."""
        return bool(self.source)


def unknown(like: SourcedRule[T]) -> SourcedRule[T]:
    """The rule for what could not be established: as in ``like``, and without a source."""
    return SourcedRule(like.value, "")


class PropertySource(StrEnum):
    """Where platform properties are read."""

    ACTION_ELSE_COMMAND = "Action, else Command"
    ACTION_ONLY = "Action only"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A platform property that asks for a persistent worker.

    Attributes:
        name: of the property.
        value: the one it must have; None for any that is not empty.
        parts: components that count in the key of an action which this property sends to a worker.
    """

    name: str
    value: str | None = None
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"


class Lack(StrEnum):
    """What becomes of an action that lacks something a worker needs."""

    ONE_SHOT = "one-shot"
    ERROR = "error"
    ACCEPTED = "accepted"


class ContainerPolicy(StrEnum):
    """What ``container-image`` means for an action that could go to a worker."""

    NEEDS_REUSE = "one-shot unless dockerReuse=True"
    ALWAYS = "worker inside the container"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Protocols:
    """How the worker protocol of an action is found out.

    Attributes:
        name: the property that says it; empty when none is read and workers speak proto.
        accepted: its values; of any other `otherwise` says what becomes.
    """

    name: str
    accepted: tuple[str, ...]
    otherwise: Lack

    def __str__(self) -> str:
        if not self.name:
            return "proto only"
        return f"{self.name}: {' or '.join(self.accepted)}, else {self.otherwise}"


class FlagfileBase(StrEnum):
    """What the path of a flagfile is relative to."""

    WORKING_DIRECTORY = "working directory"
    INPUT_ROOT = "input root"


class Expansion(StrEnum):
    """What of a flagfile reaches the worker."""

    LINES = "its lines"
    RAW = "its name, as @file"


class InputList(StrEnum):
    """What ``WorkRequest.inputs`` holds, and what the bytes of each digest are."""

    HEX = "all, hex as ASCII"
    RAW = "all, raw hash"
    MESSAGE = "all, Digest message"
    NONE = "none"


class JsonEnd(StrEnum):
    """Where a JSON WorkResponse ends."""

    OBJECT = "with the object"
    LINE = "with the line"


class Environment(StrEnum):
    """The environment of a worker process."""

    COMMAND = "the Command's"
    COMMAND_OR_EMPTY = "the Command's; empty for JavaBuilder"
    SERVER = "the server's own"


class Leftovers(StrEnum):
    """What becomes of files that an earlier action left and the next one does not declare."""

    REMOVED = "removed"
    KEPT_AFTER_FAILURE = "kept after a failure"
    KEPT = "kept"


class Roots(StrEnum):
    """Where a singleplex request finds its inputs."""

    WORKING_DIRECTORY = "working directory"
    SANDBOX_DIR = "sandbox_dir, absolute"


class FlagPosition(StrEnum):
    """Where ``--persistent_worker`` stands in the command line that starts a worker."""

    LAST = "last"
    FIRST = "first argument"


class TextTo(StrEnum):
    """Which stream of the action gets the text of a WorkResponse."""

    STDERR = "stderr"
    STDOUT = "stdout"


class WorkerStderr(StrEnum):
    """What becomes of what the worker writes to its stderr during a request."""

    SERVER_LOG = "server log"
    ACTION = "the action's stderr"
    DROPPED = "dropped"


class WhenFull(StrEnum):
    """What becomes of an action for which no worker is free and none may be started."""

    WAIT = "wait"
    ONE_SHOT = "one-shot"
    ERROR = "error"
    GROW = "grow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """All rules of one server.

    Attributes:
        name: as ``--personality`` takes it.
        describes: which server, in which version.
        properties: where platform properties are read.
        triggers: the properties any of which asks for a worker.
        unmarked_tools: what if no input is marked as a tool input.
        unmarked_executable: what if the program is neither a tool input nor an absolute path.
        no_flagfile: what if the command line has no flagfile.
        containers: what ``container-image`` means.
        protocols: how the worker protocol is found out.
        abilities: of ``multiplex``, ``sandbox`` and ``cancellation`` those an action can ask for.
        key: names of the components that two actions must share to share a worker.
        multiplex_key_has_tools: tool inputs count for multiplex workers too.
        split: which arguments are flagfiles.
        expansion: what of a flagfile reaches the worker.
        flagfile_base: what a flagfile's path is relative to.
        inputs: what is listed, and the digest bytes.
        json_always: fields of a JSON request that are there even at their default.
        json_end: where a JSON response ends, so that one without a newline is read or waited for.
        environment: of the process.
        roots: where a singleplex request finds its inputs.
        leftovers: what an earlier action leaves to the next.
        flag_position: where ``--persistent_worker`` stands.
        checks_request_id: a response with another request_id fails the action.
        checks_was_cancelled: so does one that says it was cancelled when it was not.
        response_text: which stream gets it.
        worker_stderr: what becomes of it.
        outputs_after_failure: outputs are collected when the exit code is not 0.
        when_full: what if the limits of the pool are reached.
        most_requests: after how many requests a worker ends, 0 for never.
        not_reproduced: what is known of the server and does not happen here.
    """

    name: str
    describes: str
    properties: SourcedRule[PropertySource]
    triggers: SourcedRule[tuple[Trigger, ...]]
    unmarked_tools: SourcedRule[Lack]
    unmarked_executable: SourcedRule[Lack]
    no_flagfile: SourcedRule[Lack]
    containers: SourcedRule[ContainerPolicy]
    protocols: SourcedRule[Protocols]
    abilities: SourcedRule[frozenset[str]]
    key: SourcedRule[frozenset[str]]
    multiplex_key_has_tools: SourcedRule[bool]
    split: SourcedRule[Split]
    expansion: SourcedRule[Expansion]
    flagfile_base: SourcedRule[FlagfileBase]
    inputs: SourcedRule[InputList]
    json_always: SourcedRule[frozenset[str]]
    json_end: SourcedRule[JsonEnd]
    environment: SourcedRule[Environment]
    roots: SourcedRule[Roots]
    leftovers: SourcedRule[Leftovers]
    flag_position: SourcedRule[FlagPosition]
    checks_request_id: SourcedRule[bool]
    checks_was_cancelled: SourcedRule[bool]
    response_text: SourcedRule[TextTo]
    worker_stderr: SourcedRule[WorkerStderr]
    outputs_after_failure: SourcedRule[bool]
    when_full: SourcedRule[WhenFull]
    most_requests: SourcedRule[int]
    not_reproduced: tuple[str, ...] = ()
