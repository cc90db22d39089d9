"""Both encodings of the worker protocol as a build tool sees them, written apart from the workers.

Only bytes and values live here; processes are in driver.py.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What to send; ``unknown`` adds fields that no worker has heard of."""

    arguments: tuple[str, ...] = ()
    inputs: dict[str, bytes] = field(default_factory=dict)
    request_id: int = 0
    cancel: bool = False
    verbosity: int = 0
    sandbox_dir: str = ""
    unknown: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    exit_code: int = 0
    output: str = ""
    request_id: int = 0
    was_cancelled: bool = False


class Encoding(Protocol):
    name: str

    def encode(self, request: Request) -> bytes: ...

    def cut(self, data: bytes) -> tuple[Response | None, bytes]:
        """The first response, or None when it's incomplete, and the bytes after it."""


class Proto:
    name = "proto"

    def encode(self, request: Request) -> bytes:
        parts = [delimited(1, argument.encode()) for argument in request.arguments]
        for path, digest in request.inputs.items():
            parts.append(delimited(2, delimited(1, path.encode()) + delimited(2, digest)))
        for number, value in ((3, request.request_id), (4, request.cancel), (5, request.verbosity)):
            parts += [varint(number << 3) + varint(value)] if value else []
        parts += [delimited(6, request.sandbox_dir.encode())] if request.sandbox_dir else []
        if request.unknown:
            fixed = varint(1001 << 3 | 1) + bytes(8) + varint(1002 << 3 | 5) + bytes(4)
            parts.insert(0, varint(1003 << 3) + varint(2**64 - 1) + fixed + delimited(9, b"new"))
        message = b"".join(parts)
        return varint(len(message)) + message

    def cut(self, data: bytes) -> tuple[Response | None, bytes]:
        size, start = read_varint(data, 0)
        if start == 0 or len(data) < start + size:
            return None, data
        return self.decode(data[start : start + size]), data[start + size :]

    def decode(self, message: bytes) -> Response:
        numbers = {1: 0, 3: 0, 4: 0}
        output, at = "", 0
        while at < len(message):
            tag, at = read_varint(message, at)
            value, at = read_varint(message, at)
            if tag == 2 << 3 | 2:
                output, at = message[at : at + value].decode(), at + value
                continue
            assert tag >> 3 in numbers, f"field {tag >> 3} in a WorkResponse"
            assert tag & 7 == 0, f"wire type {tag & 7} in a WorkResponse"
            numbers[tag >> 3] = value - 2**64 if value >= 2**63 else value
        return Response(
            exit_code=numbers[1],
            output=output,
            request_id=numbers[3],
            was_cancelled=bool(numbers[4]),
        )


class Json:
    """``terminator`` is what follows a request: nothing with old versions of Bazel."""

    name = "json"

    def __init__(self, terminator: bytes = b"\n") -> None:
        self.terminator = terminator

    def encode(self, request: Request) -> bytes:
        fields: dict[str, object] = {
            "arguments": request.arguments,
            "inputs": [
                {"path": path, "digest": base64.b64encode(digest).decode()}
                for path, digest in request.inputs.items()
            ],
            "requestId": request.request_id,
            "cancel": request.cancel,
            "verbosity": request.verbosity,
            "sandboxDir": request.sandbox_dir,
        }
        fields = {name: value for name, value in fields.items() if value}
        if request.unknown:
            fields |= {"futureText": 'a } in a "string\\', "futureTree": {"deep": [{}, {"x": 1}]}}
        return json.dumps(fields, separators=(",", ":")).encode() + self.terminator

    def cut(self, data: bytes) -> tuple[Response | None, bytes]:
        line, newline, rest = data.partition(b"\n")
        if not newline:
            return None, data
        fields = json.loads(line)
        response = Response(
            exit_code=fields.pop("exitCode", 0),
            output=fields.pop("output", ""),
            request_id=fields.pop("requestId", 0),
            was_cancelled=fields.pop("wasCancelled", False),
        )
        assert not fields, f"unknown fields in a WorkResponse: {fields}"
        return response, rest


def varint(value: int) -> bytes:
    groups = [value >> shift & 0x7F for shift in range(0, max(value.bit_length(), 1), 7)]
    return bytes([group | 0x80 for group in groups[:-1]] + groups[-1:])


def delimited(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def read_varint(data: bytes, at: int) -> tuple[int, int]:
    """A varint and the offset after it; offset 0 when it's incomplete."""
    value = 0
    for index, byte in enumerate(data[at:]):
        value |= (byte & 0x7F) << 7 * index
        if byte < 0x80:
            return value, at + index + 1
    return 0, 0


ENCODERS: tuple[Encoding, ...] = (Proto(), Json())
