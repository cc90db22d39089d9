"""Frames of the worker protocol: WorkRequests to bytes, bytes to WorkResponses.

Two encodings: protobuf messages behind a varint length, and JSON objects, one a line. Decoders are fed
whatever arrived, in pieces of any size, and refuse at the first byte that can't belong to a response,
because the rest of the "frame" may never come: a worker that prints ``Hello`` announces 72 bytes.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.varints import varint

#: First bytes of the fields of a WorkResponse (exit_code, output, request_id, was_cancelled).
_KNOWN_TAGS = frozenset((0x08, 0x12, 0x18, 0x20))
_MAX_VARINT_BYTES = 5
_SHOWN = 200
#: So many printable characters before anything else are no accident of a binary frame.
_FEWEST_PRINTED = 4
_JSON = json.JSONDecoder()
_JSON_FIELDS: tuple[tuple[str, str, type], ...] = (
    ("exitCode", "exit_code", int),
    ("output", "output", str),
    ("requestId", "request_id", int),
    ("wasCancelled", "was_cancelled", bool),
)


class Rule(StrEnum):
    """Rules of the worker protocol that a worker can break, in the words reports use."""

    STDOUT_TEXT = "text on stdout"
    OVERSIZED = "oversized frame"
    TRUNCATED = "truncated frame"
    MALFORMED = "malformed response"
    UNEXPECTED_RESPONSE = "unexpected response"
    WRONG_REQUEST_ID = "wrong request_id"
    UNEXPECTED_CANCEL = "unexpected was_cancelled"


class FrameError(Exception):
    """Bytes from a worker that are no WorkResponse.

    Attributes:
        rule: what was broken.
        detail: the evidence, in words.
    """

    def __init__(self, rule: Rule, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One WorkResponse."""

    exit_code: int = 0
    output: str = ""
    request_id: int = 0
    was_cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One WorkRequest; ``inputs`` are already encoded (see `Encoding.encode_inputs`)."""

    arguments: tuple[str, ...] = ()
    inputs: bytes = b""
    request_id: int = 0
    cancel: bool = False
    verbosity: int = 0
    sandbox_dir: str = ""


class Decoder(Protocol):
    """Turns a worker's stdout into responses."""

    def feed(self, data: bytes) -> list[Response]:
        """The responses that ``data`` completes.

        Raises:
            FrameError: at the first byte that can't belong to a response.
        """

    @property
    def pending(self) -> bytes:
        """What arrived of a response that is not complete yet."""


class Encoding(Protocol):
    """One encoding of the worker protocol."""

    name: str

    def encode(self, request: Request) -> bytes:
        """The request as it is written to the worker's stdin."""

    def encode_inputs(self, inputs: Iterable[tuple[str, bytes]]) -> bytes:
        """Pairs of path and digest bytes as they stand in a request; pieces may be joined."""

    def join_inputs(self, pieces: Iterable[bytes]) -> bytes:
        """Many results of `encode_inputs` as one."""

    def decoder(self, max_frame_bytes: int) -> Decoder:
        """A fresh decoder for one worker's stdout."""


class ProtoEncoding:
    """Messages of blaze.worker, each behind its length as a varint."""

    name = "proto"

    def encode(self, request: Request) -> bytes:
        """See `Encoding.encode`."""
        head = worker.WorkRequest(arguments=request.arguments).SerializeToString()
        tail = worker.WorkRequest(
            request_id=request.request_id,
            cancel=request.cancel,
            verbosity=request.verbosity,
            sandbox_dir=request.sandbox_dir,
        ).SerializeToString()
        length = len(head) + len(request.inputs) + len(tail)
        return b"".join((varint(length), head, request.inputs, tail))

    def encode_inputs(self, inputs: Iterable[tuple[str, bytes]]) -> bytes:
        """See `Encoding.encode_inputs`."""
        pieces: list[bytes] = []
        for path, digest in inputs:
            name = path.encode()
            body = b"".join(
                (b"\x0a", varint(len(name)), name, b"\x12", varint(len(digest)), digest)
            )
            pieces += (b"\x12", varint(len(body)), body)
        return b"".join(pieces)

    def join_inputs(self, pieces: Iterable[bytes]) -> bytes:
        """See `Encoding.join_inputs`."""
        return b"".join(pieces)

    def decoder(self, max_frame_bytes: int) -> ProtoDecoder:
        """See `Encoding.decoder`."""
        return ProtoDecoder(max_frame_bytes)


class JsonEncoding:
    """One JSON object a line, camelCase, fields at their default left out (as Bazel writes it)."""

    name = "json"

    def encode(self, request: Request) -> bytes:
        """See `Encoding.encode`."""
        rest: dict[str, object] = {}
        if request.request_id:
            rest["requestId"] = request.request_id
        if request.cancel:
            rest["cancel"] = True
        if request.verbosity:
            rest["verbosity"] = request.verbosity
        if request.sandbox_dir:
            rest["sandboxDir"] = request.sandbox_dir
        head = b'{"arguments":' + _json(list(request.arguments)) + b',"inputs":[' + request.inputs
        tail = b"," + _json(rest)[1:] if rest else b"}"
        return head + b"]" + tail + b"\n"

    def encode_inputs(self, inputs: Iterable[tuple[str, bytes]]) -> bytes:
        """See `Encoding.encode_inputs`; digests are base64, as the JSON mapping of bytes says."""
        return b",".join(
            _json({"path": path, "digest": base64.b64encode(digest).decode()})
            for path, digest in inputs
        )

    def join_inputs(self, pieces: Iterable[bytes]) -> bytes:
        """See `Encoding.join_inputs`."""
        return b",".join(piece for piece in pieces if piece)

    def decoder(self, max_frame_bytes: int) -> JsonDecoder:
        """See `Encoding.decoder`."""
        return JsonDecoder(max_frame_bytes)


class ProtoDecoder:
    """Decodes length-delimited WorkResponses."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, max_frame_bytes: int) -> None:
        self._buffer = b""
        self._limit = max_frame_bytes

    @property
    def pending(self) -> bytes:
        """See `Decoder.pending`."""
        return self._buffer

    def feed(self, data: bytes) -> list[Response]:
        """See `Decoder.feed`."""
        buffer = self._buffer + data if self._buffer else data
        responses: list[Response] = []
        start = 0
        while (frame := self._frame_at(buffer, start)) is not None:
            payload_start, end = frame
            responses.append(_parse(buffer[payload_start:end], buffer[start:]))
            start = end
        self._buffer = buffer[start:]
        return responses

    def _frame_at(self, buffer: bytes, start: int) -> tuple[int, int] | None:
        """Where the payload of the frame at ``start`` begins and ends; None when it isn't all here."""
        length = shift = 0
        for index in range(start, min(len(buffer), start + _MAX_VARINT_BYTES)):
            length |= (buffer[index] & 0x7F) << shift
            shift += 7
            if buffer[index] < 0x80:
                begin = index + 1
                break
        else:
            if len(buffer) - start >= _MAX_VARINT_BYTES:
                raise _not_a_response(buffer[start:], Rule.OVERSIZED, "its length does not end")
            return None
        if begin < len(buffer) and length and buffer[begin] not in _KNOWN_TAGS:
            raise _not_a_response(
                buffer[start:], Rule.MALFORMED, f"first field tag is 0x{buffer[begin]:02x}"
            )
        if length > self._limit:
            raise _not_a_response(
                buffer[start:], Rule.OVERSIZED, f"{length} bytes announced, {self._limit} allowed"
            )
        end = begin + length
        return (begin, end) if end <= len(buffer) else None


class JsonDecoder:
    """Decodes JSON WorkResponses; an object may span lines, as Bazel's own reader allows."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, max_frame_bytes: int) -> None:
        self._buffer = b""
        self._limit = max_frame_bytes

    @property
    def pending(self) -> bytes:
        """See `Decoder.pending`."""
        return self._buffer

    def feed(self, data: bytes) -> list[Response]:
        """See `Decoder.feed`."""
        buffer = (self._buffer + data).lstrip() if self._buffer else data.lstrip()
        responses: list[Response] = []
        while buffer:
            if buffer[:1] != b"{":
                raise _not_a_response(buffer, Rule.STDOUT_TEXT, f"no JSON object: {_shown(buffer)}")
            found = self._object(buffer)
            if found is None:
                break
            response, used = found
            responses.append(response)
            buffer = buffer[used:].lstrip()
        self._buffer = buffer
        return responses

    def _object(self, buffer: bytes) -> tuple[Response, int] | None:
        if len(buffer) > self._limit:
            raise FrameError(
                Rule.OVERSIZED, f"{len(buffer)} bytes without an end, {self._limit} allowed"
            )
        if b"}" not in buffer:
            return None
        try:
            text = buffer.decode()
            value, end = _JSON.raw_decode(text)
        except json.JSONDecodeError as error:
            if _is_incomplete(error):
                return None
            raise FrameError(Rule.MALFORMED, f"{error}: {_shown(buffer)}") from None
        except ValueError as error:
            raise FrameError(Rule.MALFORMED, f"{error}: {_shown(buffer)}") from None
        return _from_json(value), len(text[:end].encode())


def encoding(protocol: str) -> Encoding:
    """The encoding named by ``persistentWorkerProtocol``, ``proto`` or ``json``."""
    return JsonEncoding() if protocol == "json" else ProtoEncoding()


def truncated(pending: bytes) -> FrameError:
    """The error for a stream that ended, or a time that ran out, amid a response."""
    if _is_text(pending):
        return FrameError(Rule.STDOUT_TEXT, _shown(pending))
    return FrameError(Rule.TRUNCATED, f"only {len(pending)} bytes came: {_shown(pending)}")


def surplus(pending: bytes) -> FrameError:
    """The error for bytes on stdout that no request asked for."""
    if _is_text(pending):
        return FrameError(Rule.STDOUT_TEXT, _shown(pending))
    return FrameError(Rule.UNEXPECTED_RESPONSE, f"bytes after the response: {_shown(pending)}")


def _parse(payload: bytes, context: bytes) -> Response:
    try:
        message = worker.WorkResponse.FromString(payload)
    except Exception as error:  # DecodeError is another class in each protobuf implementation
        raise _not_a_response(context, Rule.MALFORMED, f"{error}: {_shown(payload)}") from None
    return Response(
        exit_code=message.exit_code,
        output=message.output,
        request_id=message.request_id,
        was_cancelled=message.was_cancelled,
    )


def _is_incomplete(error: json.JSONDecodeError) -> bool:
    """Whether more bytes could mend the object, as opposed to one that is broken already."""
    return error.pos >= len(error.doc.rstrip()) or error.msg.startswith("Unterminated string")


def _from_json(value: dict[str, object]) -> Response:
    """The response of a JSON object; unknown fields are skipped, as the protocol asks of readers."""
    fields: dict[str, Any] = {}
    for key, name, kind in _JSON_FIELDS:
        given = value.get(key)
        if given is None:
            continue
        if type(given) is not kind:
            raise FrameError(Rule.MALFORMED, f"{key} is {given!r}, not of type {kind.__name__}")
        fields[name] = given
    return Response(**fields)


def _not_a_response(data: bytes, rule: Rule, detail: str) -> FrameError:
    if _is_text(data):
        return FrameError(Rule.STDOUT_TEXT, _shown(data))
    return FrameError(rule, f"{detail}: {_shown(data)}")


def _is_text(data: bytes) -> bool:
    """Whether it reads like something printed, perhaps with a proper response behind it."""
    text = data[:_SHOWN].decode(errors="surrogateescape")
    printed = next(
        (index for index, each in enumerate(text) if not (each.isprintable() or each in "\r\n\t")),
        len(text),
    )
    return printed == len(text) > 0 or printed >= _FEWEST_PRINTED


def _shown(data: bytes) -> str:
    return repr(data[:_SHOWN].decode(errors="backslashreplace")) + (
        "…" if len(data) > _SHOWN else ""
    )


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
