"""Actions sent to a server by a client made from foreign stubs, in the manner of an API version.

Messages are encoded by the foreign classes. Those know API 2.1 at most; newer fields go in and come
out as unknown fields, through `newer` and `as_own`.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import sys
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from rpw_fixture.events.kinds import InternalError
from rpw_fixture.server import Server
from rpw_fixture.wire.protos import remote_execution as own

from .client import Client, client_on, re, re_grpc, sha256

pytest.importorskip("buildgrid.common.protos")

from buildgrid.common.protos.google.longrunning import operations_pb2 as ops
from buildgrid.common.protos.google.longrunning import operations_pb2_grpc as ops_grpc
from buildgrid.common.protos.google.rpc import error_details_pb2 as error_details

#: What a hung test fails with, instead of hanging.
PATIENCE = 30.0
EXECUTING = re.ExecutionStage.EXECUTING
COMPLETED = re.ExecutionStage.COMPLETED
SH = "/bin/sh"
SAMPLES = Path(__file__).resolve().parents[2] / "sample_workers" / "python"


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """An input file."""

    data: bytes = b""
    is_executable: bool = False
    properties: Mapping[str, str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """An input symlink."""

    target: str


#: Inputs by path; a path that ends in a slash is an empty folder.
Inputs = Mapping[str, bytes | File | Link | None]


class Executor:
    """A client that executes.

    Args:
        server: must be running.
        channel: to it.
    """

    def __init__(self, server: Server, channel: grpc.Channel) -> None:
        self.server = server
        self.client: Client = client_on(channel)
        self.execution = re_grpc.ExecutionStub(channel)
        self.operations = ops_grpc.OperationsStub(channel)
        version = self.client.capabilities.GetCapabilities(
            re.GetCapabilitiesRequest()
        ).high_api_version
        self._has_paths = (version.major, version.minor) >= (2, 1)
        self._has_action_platform = (version.major, version.minor) >= (2, 2)

    # --- making ---

    def put(self, content: Any) -> re.Digest:
        """Uploads bytes or a message."""
        data = content if isinstance(content, bytes) else content.SerializeToString()
        return self.client.upload(data)[0]

    def tree(self, inputs: Inputs) -> re.Digest:
        """Uploads an input root."""
        return self.put(self.directory(inputs))

    def directory(self, inputs: Inputs) -> re.Directory:
        """Uploads what is below an input root, which is returned."""
        directory, below = re.Directory(), {}
        for path, content in sorted(inputs.items()):
            name, slash, rest = path.partition("/")
            if slash:
                below.setdefault(name, {}).update({rest: content} if rest else {})
            elif isinstance(content, Link):
                directory.symlinks.add(name=name, target=content.target)
            else:
                file = content if isinstance(content, File) else File(data=content or b"")
                node = directory.files.add(
                    name=name, digest=self.put(file.data), is_executable=file.is_executable
                )
                for key, value in (file.properties or {}).items():
                    node.node_properties.properties.add(name=key, value=value)
        for name, content in sorted(below.items()):
            directory.directories.add(name=name, digest=self.tree(content))
        return directory

    def command(
        self,
        *arguments: str,
        files: Iterable[str] = (),
        folders: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        platform: Mapping[str, str] | None = None,
        **fields: Any,
    ) -> re.Command:
        """A Command, its outputs in the fields that the server's version has."""
        command = re.Command(arguments=arguments, **fields)
        if self._has_paths:
            command.output_paths.extend(sorted({*files, *folders}))
        else:
            command.output_files.extend(sorted(files))
            command.output_directories.extend(sorted(folders))
        for name, value in sorted((env or {}).items()):
            command.environment_variables.add(name=name, value=value)
        for name, value in sorted((platform or {}).items()):
            command.platform.properties.add(name=name, value=value)
        return command

    def action(self, command: re.Command, inputs: Inputs | None = None, **fields: Any) -> re.Digest:
        """Uploads an Action with all it refers to."""
        root = fields.pop("input_root_digest", None) or self.tree(inputs or {})
        action = re.Action(command_digest=self.put(command), input_root_digest=root, **fields)
        if self._has_action_platform and not action.HasField("platform"):
            action.platform.CopyFrom(command.platform)
        return self.put(action)

    def shell(
        self, script: str, inputs: Inputs | None = None, *, timeout: float = 0, **fields: Any
    ) -> re.Digest:
        """Uploads an action that runs a shell script."""
        for_action = {name: fields.pop(name) for name in ("do_not_cache", "salt") if name in fields}
        action = re.Action(**for_action)
        if timeout:
            action.timeout.FromNanoseconds(int(timeout * 1e9))
            for_action["timeout"] = action.timeout
        return self.action(self.command(SH, "-c", script, **fields), inputs, **for_action)

    # --- running ---

    def execute(self, digest: re.Digest, **fields: Any) -> Any:
        """The call; iterate over it for the operations."""
        request = newer(
            re.ExecuteRequest, own.ExecuteRequest(action_digest=as_own(digest), **fields)
        )
        return self.execution.Execute(request, timeout=PATIENCE)

    def run(self, digest: re.Digest, **fields: Any) -> re.ExecuteResponse:
        """The response, after checks of what holds for every operation."""
        return response_of(list(self.execute(digest, **fields)))

    def run_shell(
        self, script: str, inputs: Inputs | None = None, **fields: Any
    ) -> re.ExecuteResponse:
        return self.run(self.shell(script, inputs, **fields))

    def get(self, name: str) -> ops.Operation:
        return self.operations.GetOperation(ops.GetOperationRequest(name=name))

    def wait(self, name: str) -> Any:
        return self.execution.WaitExecution(re.WaitExecutionRequest(name=name), timeout=PATIENCE)

    def cancel(self, name: str) -> None:
        self.operations.CancelOperation(ops.CancelOperationRequest(name=name))

    # --- reading ---

    def read(self, digest: re.Digest) -> bytes:
        """A blob by its digest, the absent digest being the empty blob."""
        if not digest.size_bytes:
            return b""
        request = re.BatchReadBlobsRequest(digests=[digest])
        (response,) = self.client.cas.BatchReadBlobs(request).responses
        assert response.status.code == 0, response.status.message
        return response.data

    def stdout(self, response: re.ExecuteResponse) -> bytes:
        return self.read(response.result.stdout_digest)

    def stderr(self, response: re.ExecuteResponse) -> bytes:
        return self.read(response.result.stderr_digest)

    def files(self, response: re.ExecuteResponse) -> dict[str, bytes]:
        """Output files by path."""
        return {file.path: self.read(file.digest) for file in response.result.output_files}

    def trees(self, response: re.ExecuteResponse) -> dict[str, re.Tree]:
        """Output folders by path."""
        return {
            each.path: re.Tree.FromString(self.read(each.tree_digest))
            for each in response.result.output_directories
        }


@contextlib.contextmanager
def executing(**settings: Any) -> Iterator[Executor]:
    """A server and a client of it; in the end no bug was met and no process is left."""
    with Server(**settings) as server, grpc.insecure_channel(server.address) as channel:
        yield Executor(server, channel)
    errors = server.events.of(InternalError)
    assert not errors, errors[0].detail
    left = psutil.Process().children(recursive=True)
    assert not left, left


def tool_action(
    executor: Executor,
    script: bytes,
    arguments: Iterable[str],
    *,
    startup: Iterable[str] = (),
    inputs: Inputs | None = None,
    timeout: float = 0,
    **fields: Any,
) -> re.Digest:
    """Uploads an action for a persistent worker that runs ``script`` beside the sample workers."""
    tool = {"bazel_tool_input": ""}
    tools = {
        f"tools/{name}": File(data=(SAMPLES / name).read_bytes(), properties=tool)
        for name in ("good.py", "rpw_worker.py")
    }
    tools["tools/worker.py"] = File(data=script, properties=tool)
    flags = "".join(f"{argument}\n" for argument in arguments).encode()
    command = executor.command(
        sys.executable,
        "tools/worker.py",
        *startup,
        "@args.params",
        platform={"persistentWorkerKey": "test"},
        **fields,
    )
    limit = {}
    if timeout:
        limit["timeout"] = re.Action().timeout
        limit["timeout"].FromNanoseconds(int(timeout * 1e9))
    return executor.action(command, {**tools, "args.params": flags, **(inputs or {})}, **limit)


def response_of(operations: list[ops.Operation]) -> re.ExecuteResponse:
    """The response in the last of an operation's messages; all are checked for what always holds."""
    assert len({operation.name for operation in operations}) == 1
    assert operations[0].name
    for operation in operations:
        metadata = metadata_of(operation)
        assert operation.done == (metadata.stage == COMPLETED)
        assert operation.done == (operation is operations[-1])
        assert not operation.HasField("error")
    response = re.ExecuteResponse()
    assert operations[-1].response.Unpack(response)
    assert response.HasField("result")
    assert response.result.execution_metadata.worker or response.status.code == 1
    return response


def metadata_of(operation: ops.Operation) -> re.ExecuteOperationMetadata:
    metadata = re.ExecuteOperationMetadata()
    assert operation.metadata.Unpack(metadata)
    return metadata


def missing_subjects(status: Any) -> list[str]:
    """The subjects of the MISSING violations in a status that holds nothing else."""
    assert len(status.details) == 1
    failure = error_details.PreconditionFailure()
    assert status.details[0].Unpack(failure)
    assert {violation.type for violation in failure.violations} == {"MISSING"}
    return [violation.subject for violation in failure.violations]


def subject(digest: re.Digest) -> str:
    return f"blobs/{digest.hash}/{digest.size_bytes}"


def facts_of(response: re.ExecuteResponse) -> dict[str, Any]:
    """Return the JSON in the auxiliary metadata."""
    from google.protobuf.wrappers_pb2 import StringValue

    (packed,) = response.result.execution_metadata.auxiliary_metadata
    text = StringValue()
    assert packed.Unpack(text)
    return json.loads(text.value)["rpw_fixture"]


def as_own(message: Any) -> Any:
    """A foreign message as ours, whose classes know every field."""
    return getattr(own, message.DESCRIPTOR.name).FromString(message.SerializeToString())


def newer(kind: Any, message: Any) -> Any:
    """Our message as a foreign one, which keeps fields it does not know."""
    return kind.FromString(message.SerializeToString())


class Gate:
    """A place in a shell script where the action waits for the test."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / f"gate-{uuid.uuid4().hex}"
        os.mkfifo(self._path)
        self._fd = -1

    @property
    def script(self) -> str:
        """The shell command that waits."""
        return f"read _ < {self._path}"

    def wait_until_reached(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._fd < 0:
            try:
                self._fd = os.open(self._path, os.O_WRONLY | os.O_NONBLOCK)
            except OSError as error:
                if error.errno != errno.ENXIO or time.monotonic() > deadline:
                    raise
                time.sleep(0.002)  # there is no other way to wait for a reader

    def open(self) -> None:
        """Lets the action go on."""
        self.wait_until_reached()
        os.write(self._fd, b"\n")
        self.close()

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


def next_at_stage(call: Iterator[ops.Operation], stage: int) -> ops.Operation:
    """The first message at a stage."""
    for operation in call:
        if metadata_of(operation).stage == stage:
            return operation
    pytest.fail(f"the call ended before stage {stage}")


__all__ = [
    "COMPLETED",
    "EXECUTING",
    "SH",
    "Executor",
    "File",
    "Gate",
    "Inputs",
    "Link",
    "as_own",
    "executing",
    "facts_of",
    "metadata_of",
    "missing_subjects",
    "newer",
    "next_at_stage",
    "ops",
    "own",
    "re",
    "response_of",
    "sha256",
    "subject",
    "tool_action",
]
