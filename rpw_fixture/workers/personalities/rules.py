"""The rules in which servers differ: the types of which a personality consists.

This module holds the possible values of each rule and the record that holds one value of each. Each
personality has a file with its values. A rule carries its source. A rule that is unknown of a server
has no source, and its value is that of `reference`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, TypeVar

from rpw_fixture.wire.flagfiles import Split
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.workers.key import Ability

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class SourcedRule(Generic[T]):
    """One rule of a personality.

    Attributes:
        value: value of the rule.
        source: where the rule is documented; empty when no source was found.
    """

    value: T
    source: str

    @property
    def is_known(self) -> bool:
        """Whether it has a source."""
        return bool(self.source)


def unknown(like: SourcedRule[T]) -> SourcedRule[T]:
    """Return a rule with the value of ``like`` and no source, for what is unknown of a server."""
    return SourcedRule(like.value, "")


class PropertySource(StrEnum):
    """The messages in which platform properties are read."""

    ACTION_ELSE_COMMAND = "Action, else Command"
    ACTION_ONLY = "Action only"


@dataclass(frozen=True, slots=True)
class Trigger:
    """A platform property that asks for a persistent worker.

    Attributes:
        name: name of the property.
        value: the value it must have; None for any value that is not empty.
        parts: components that count in the pool key of actions that have this property.
    """

    name: str
    value: str | None = None
    parts: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name if self.value is None else f"{self.name}={self.value}"


class Lack(StrEnum):
    """The treatment of an action that lacks something that a worker needs."""

    ONE_SHOT = "one-shot"
    ERROR = "error"
    ACCEPTED = "accepted"


class ContainerPolicy(StrEnum):
    """The meaning of ``container-image`` for an action that could go to a worker."""

    NEEDS_REUSE = "one-shot unless dockerReuse=True"
    ALWAYS = "worker inside the container"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Protocols:
    """The way in which the worker protocol of an action is determined.

    Attributes:
        name: the property that names it; empty when none is read and workers use proto.
        accepted: values of the property that are accepted.
        otherwise: the treatment of an action with another value.
    """

    name: str
    accepted: tuple[WorkerProtocol, ...]
    otherwise: Lack

    def __str__(self) -> str:
        if not self.name:
            return "proto only"
        return f"{self.name}: {' or '.join(self.accepted)}, else {self.otherwise}"


class FlagfileBase(StrEnum):
    """The folder to which the path of a flagfile is relative."""

    WORKING_DIRECTORY = "working directory"
    INPUT_ROOT = "input root"


class Expansion(StrEnum):
    """The form in which a flagfile reaches the worker."""

    LINES = "its lines"
    RAW = "its name, as @file"


class InputList(StrEnum):
    """The content of ``WorkRequest.inputs``, and the format of each digest."""

    HEX = "all, hex as ASCII"
    RAW = "all, raw hash"
    MESSAGE = "all, Digest message"
    NONE = "none"


class JsonEnd(StrEnum):
    """The end of a JSON WorkResponse."""

    OBJECT = "with the object"
    LINE = "with the line"


class Environment(StrEnum):
    """The environment of a worker process."""

    COMMAND = "the Command's"
    COMMAND_OR_EMPTY = "the Command's; empty for JavaBuilder"
    SERVER = "the server's"


class Leftovers(StrEnum):
    """The treatment of files that an earlier action left and the next one does not declare."""

    REMOVED = "removed"
    KEPT_AFTER_FAILURE = "kept after a failure"
    KEPT = "kept"


class Roots(StrEnum):
    """The folder in which a singleplex request finds its inputs."""

    WORKING_DIRECTORY = "working directory"
    SANDBOX_DIR = "sandbox_dir, absolute"


class FlagPosition(StrEnum):
    """The position of ``--persistent_worker`` in the command line that starts a worker."""

    LAST = "last"
    FIRST = "first argument"


class TextTo(StrEnum):
    """The stream of the action that gets the text of a WorkResponse."""

    STDERR = "stderr"
    STDOUT = "stdout"


class WorkerStderr(StrEnum):
    """The destination of what the worker writes to its stderr during a request."""

    SERVER_LOG = "server log"
    ACTION = "the action's stderr"
    DROPPED = "dropped"


class WhenFull(StrEnum):
    """The treatment of an action for which no worker is free and none may be started."""

    WAIT = "wait"
    ONE_SHOT = "one-shot"
    ERROR = "error"
    GROW = "grow"


@dataclass(frozen=True, slots=True, kw_only=True)
class Personality:
    """All rules of one server.

    Attributes:
        name: name for ``--personality``.
        describes: the server and its version.
        properties: the messages in which platform properties are read.
        triggers: properties that ask for a worker; one of them is enough.
        unmarked_tools: treatment of an action without inputs that are marked as tool inputs.
        unmarked_executable: treatment of a program that is neither a tool input nor an absolute path.
        no_flagfile: treatment of a command line without a flagfile.
        containers: meaning of ``container-image``.
        protocols: how the worker protocol is determined.
        abilities: those that an action can ask for.
        key: names of the components that two actions must share to share a worker.
        multiplex_key_has_tools: tool inputs count for multiplex workers too.
        split: which arguments are flagfiles.
        expansion: form in which a flagfile reaches the worker.
        flagfile_base: folder to which a flagfile's path is relative.
        inputs: which inputs are listed, and the format of their digests.
        json_always: fields of a JSON request that are written even with their default.
        json_end: end of a JSON response; decides whether a missing newline is waited for.
        environment: environment of the process.
        roots: folder in which a singleplex request finds its inputs.
        leftovers: treatment of files that an earlier action left.
        flag_position: position of ``--persistent_worker``.
        checks_request_id: a response with another request_id fails the action.
        checks_was_cancelled: a response with an unexpected was_cancelled fails the action.
        response_text: stream that gets the text of a response.
        worker_stderr: destination of the worker's stderr.
        outputs_after_failure: outputs are collected when the exit code is not 0.
        when_full: treatment of an action when the limits of the pool are reached.
        most_requests: number of requests after which a worker ends, 0 for no limit.
        not_reproduced: known behaviour of the server that is not reproduced here.
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
    abilities: SourcedRule[frozenset[Ability]]
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
