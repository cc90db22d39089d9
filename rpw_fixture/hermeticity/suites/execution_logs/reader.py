"""Execution logs in all formats of Bazel: binary, JSON, and compact."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.message import DecodeError, Message

from rpw_fixture.errors import ConfigError, RequestError
from rpw_fixture.hermeticity.suites.execution_logs.compact import CompactLog
from rpw_fixture.hermeticity.suites.execution_logs.spawns import LoggedFile, LoggedSpawn
from rpw_fixture.wire.compression import compressor_named
from rpw_fixture.wire.protos import spawn

M = TypeVar("M", bound=Message)
_ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_JSON = re.compile(rb'\s*\{\s*["}]')
_BLANK = re.compile(r"\s*")
_MOST_LENGTH_BYTES = 5
#: Most bytes that a log is read to, so that a small file cannot fill the memory.
_MOST_BYTES = 4 << 30


def load(path: Path) -> list[LoggedSpawn]:
    """Return the actions of a log, in its order.

    Raises:
        ConfigError: for a file that can't be read or is broken; the message names the offset.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"--exec-log {path}: {error.strerror}") from None
    if not data.strip():
        raise ConfigError(
            f"--exec-log {path}: the file is empty: the build ran no action, or is running"
        )
    if data.startswith(_ZSTD_MAGIC):
        return _compact(path, data)
    read = _json if _JSON.match(data) else _binary
    return [_spawn(each) for each in read(path, data)]


def _binary(path: Path, data: bytes) -> Iterator[spawn.SpawnExec]:
    for offset, message in _delimited(path, data, spawn.SpawnExec, ""):
        if not message.command_args:
            raise _broken(
                path, offset, "", "an action without a command line; is this an execution log?"
            )
        yield message


def _json(path: Path, data: bytes) -> Iterator[spawn.SpawnExec]:
    """Yield the objects of a file that holds one after the other, with or without blanks."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise _broken(path, error.start, "", "not UTF-8") from None
    decoder = json.JSONDecoder()
    at = _end_of_blanks(text, 0)
    while at < len(text):
        try:
            fields, end = decoder.raw_decode(text, at)
            yield json_format.ParseDict(fields, spawn.SpawnExec(), ignore_unknown_fields=True)
        except json.JSONDecodeError as error:
            offset = len(text[: error.pos].encode())
            raise _broken(path, offset, "", f"not JSON: {error.msg}") from None
        except (json_format.ParseError, RecursionError) as error:
            raise _broken(path, len(text[:at].encode()), "", f"not an action: {error}") from None
        at = _end_of_blanks(text, end)


def _compact(path: Path, data: bytes) -> list[LoggedSpawn]:
    decoder = compressor_named("zstd").decoder()
    plain = bytearray()
    where = " of the decompressed log"
    try:
        for piece in decoder.feed(data):
            plain += piece
            if len(plain) > _MOST_BYTES:
                raise _broken(path, len(plain), where, "the log is too large")
        decoder.finish()
    except RequestError as error:
        # What is before the damage is of no use: the order of a log is not the build's.
        raise _broken(path, len(plain), where, error.message) from None
    log = CompactLog()
    for offset, entry in _delimited(path, bytes(plain), spawn.ExecLogEntry, where):
        try:
            log.add(entry)
        except ValueError as error:
            raise _broken(path, offset, where, str(error)) from None
    return log.spawns


def _delimited(path: Path, data: bytes, kind: type[M], where: str) -> Iterator[tuple[int, M]]:
    """Yield messages that each stand after their length, with their offsets."""
    at = 0
    while at < len(data):
        begin = at
        head = _length(data, at)
        if head is None:
            raise _broken(path, begin, where, "the length of an entry is cut short or too long")
        size, at = head
        if at + size > len(data):
            left = len(data) - at
            raise _broken(path, begin, where, f"an entry of {size} bytes is cut short after {left}")
        try:
            yield begin, kind.FromString(data[at : at + size])
        except DecodeError as error:
            raise _broken(
                path, begin, where, f"not an entry of an execution log: {error}"
            ) from None
        at += size


def _length(data: bytes, at: int) -> tuple[int, int] | None:
    """Return the length at an offset and the offset after it; None for bytes that are none."""
    value = 0
    for index, byte in enumerate(data[at : at + _MOST_LENGTH_BYTES]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    return None


def _spawn(message: spawn.SpawnExec) -> LoggedSpawn:
    return LoggedSpawn(
        arguments=tuple(message.command_args),
        environment=tuple(
            sorted((each.name, each.value) for each in message.environment_variables)
        ),
        platform={each.name: each.value for each in message.platform.properties},
        inputs=tuple(_files(message.inputs)),
        outputs=tuple(_files(message.actual_outputs)),
        listed_outputs=tuple(message.listed_outputs),
        mnemonic=message.mnemonic,
        target=message.target_label,
        runner=message.runner,
        timeout=message.timeout_millis / 1000,
        exit_code=message.exit_code,
        status=message.status,
    )


def _files(messages: Iterable[spawn.File]) -> Iterator[LoggedFile]:
    for each in messages:
        digest = each.digest
        yield LoggedFile(
            path=each.path,
            digest=f"{digest.hash}/{digest.size_bytes}" if digest.hash else "",
            function=digest.hash_function_name,
            target=each.symlink_target_path,
            is_tool=each.is_tool,
        )


def _end_of_blanks(text: str, at: int) -> int:
    found = _BLANK.match(text, at)
    return found.end() if found is not None else at


def _broken(path: Path, offset: int, where: str, reason: str) -> ConfigError:
    return ConfigError(f"--exec-log {path}: at byte {offset}{where}: {reason}")
