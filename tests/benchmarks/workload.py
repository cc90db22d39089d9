"""The actions that are measured: all alike, each with one changed input, so none is ever cached."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rpw_fixture import Action, Client
from rpw_fixture.client.encoding import encode
from rpw_fixture.wire.digests import SHA256, Digest
from rpw_fixture.wire.protos import longrunning
from rpw_fixture.wire.protos import remote_execution as reapi

TRIVIAL_WORKER = Path(__file__).with_name("trivial_worker.py")
#: What the one changed input and the output of every worker action are called.
CHANGED, OUTPUT = "d0/in0.txt", "out/result.txt"
_TOOL = "tools/trivial_worker.py"
_FILES_PER_FOLDER = 20
#: Without site-packages it starts in half of the time; what it does when warm is the same.
_INTERPRETER = (sys.executable, "-S", "-E")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ready:
    """An action that was uploaded.

    Attributes:
        digest: of the Action message.
        request: the encoded ExecuteRequest.
    """

    digest: Digest
    request: bytes


def worker_action(*, files: int = 20, protocol: str = "proto", salt: str = "") -> Action:
    """An action of the trivial worker, in a separate pool for each number of files and protocol.

    Pools are apart because a worker that meets two input roots in turn has its folder changed from
    one to the other each time.
    """
    inputs = {
        f"d{number // _FILES_PER_FOLDER}/in{number}.txt": f"input {number}{salt}\n"
        for number in range(files)
    }
    flags = ("--json",) if protocol == "json" else ()
    return Action(
        arguments=(*_INTERPRETER, _TOOL, *flags),
        flagfile=(CHANGED, OUTPUT),
        inputs=inputs,
        tool_inputs={_TOOL: TRIVIAL_WORKER},
        outputs=(OUTPUT,),
        worker_key=f"{protocol} {files}{salt}",
        protocol=protocol,
    )


def native_action(worker: Path) -> Action:
    """An action as `worker_action`, of the same worker compiled from C."""
    return dataclasses.replace(
        worker_action(salt=" native"),
        arguments=("tools/trivial_worker",),
        tool_inputs={"tools/trivial_worker": worker},
    )


def changed(action: Action, count: int, *, start: int = 0) -> list[Action]:
    """Variations of an action with another content in one of its inputs."""
    return [
        action.with_input(CHANGED, f"changed input {number}\n")
        for number in range(start, start + count)
    ]


def upload(client: Client, actions: Iterable[Action], *, is_cached: bool = False) -> list[Ready]:
    """Puts all that the actions need on the server.

    Args:
        is_cached: take a known result instead of executing.
    """
    blobs: dict[Digest, bytes] = {}
    digests = []
    for action in actions:
        encoded = encode(action, SHA256)
        blobs.update(encoded.blobs)
        digests.append(encoded.digest)
    client.upload(blobs)
    return [Ready(digest=each, request=_request(each, is_cached=is_cached)) for each in digests]


def check(answers: Sequence[Sequence[bytes]]) -> None:
    """Every action was executed and succeeded; a fast failure would make a fine figure."""
    for answer in answers:
        operation = longrunning.Operation.FromString(answer[-1])
        response = reapi.ExecuteResponse()
        assert operation.done, operation
        operation.response.Unpack(response)
        assert response.status.code == 0, response
        assert response.result.exit_code == 0, response
        assert not response.cached_result, response


def _request(digest: Digest, *, is_cached: bool) -> bytes:
    message = reapi.ExecuteRequest(
        action_digest=reapi.Digest(hash=digest.hash, size_bytes=digest.size),
        skip_cache_lookup=not is_cached,
    )
    return message.SerializeToString()
