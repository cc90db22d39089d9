"""Makes logs: the same actions in all three formats."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from google.protobuf import json_format

from rpw_fixture.wire.compression import COMPRESSORS
from rpw_fixture.wire.protos import spawn
from rpw_fixture.wire.varints import varint

Entry = spawn.ExecLogEntry


def digest(content: bytes) -> spawn.Digest:
    return spawn.Digest(
        hash=hashlib.sha256(content).hexdigest(),
        size_bytes=len(content),
        hash_function_name="SHA-256",
    )


def file(path: str, content: bytes, *, is_tool: bool = False) -> spawn.File:
    return spawn.File(path=path, digest=digest(content), is_tool=is_tool)


def delimited(messages: Iterable[spawn.SpawnExec | Entry]) -> bytes:
    encoded = [each.SerializeToString() for each in messages]
    return b"".join(varint(len(each)) + each for each in encoded)


def write_binary(path: Path, *spawns: spawn.SpawnExec) -> Path:
    path.write_bytes(delimited(spawns))
    return path


def write_json(path: Path, *spawns: spawn.SpawnExec) -> Path:
    path.write_text("".join(map(json_format.MessageToJson, spawns)))
    return path


def write_compact(path: Path, *entries: Entry) -> Path:
    path.write_bytes(COMPRESSORS["zstd"].compress(delimited(entries)))
    return path


def entry(number: int, path: str, content: bytes) -> Entry:
    return Entry(id=number, file=Entry.File(path=path, digest=digest(content)))


def input_set(number: int, *ids: int, sets: Iterable[int] = ()) -> Entry:
    return Entry(id=number, input_set=Entry.InputSet(input_ids=ids, transitive_set_ids=sets))


def invocation(**fields: object) -> Entry:
    fields = {"hash_function_name": "SHA-256", "workspace_runfiles_directory": "_main", **fields}
    return Entry(invocation=Entry.Invocation(**fields))
