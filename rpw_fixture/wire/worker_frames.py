"""Frames of the worker protocol: WorkRequests to bytes, bytes to WorkResponses.

Two encodings: protobuf messages behind a varint length, and JSON objects, one a line. Decoders are
fed whatever arrived, in pieces of any size, and refuse at the first byte that can't belong to a
response, because the rest of the "frame" may never come: a worker that prints ``Hello`` announces
72 bytes.
"""

from __future__ import annotations

import base64
import codecs
import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.varints import varint

#: First bytes of the fields of a WorkResponse (exit_code, output, request_id, was_cancelled).
_KNOWN_TAGS = frozenset((0x08, 0x12, 0x18, 0x20))
_MAX_VARINT_BYTES = 5
#: An Input in a WorkRequest whose lengths all take one byte, and what path and digest add up to then.
_SHORT_INPUT, _SHORT = b"\x12%c\x0a%c%b\x12%c%b", 0x80 - 4
_CANCELLED_TAG = 0x20
_SHOWN = 200
#: So many printable characters before anything else are no accident of a binary frame.
_FEWEST_PRINTED = 4
#: What nobody prints: control characters, but for line ends, tabs and what colours a terminal; and
#: bytes that are no UTF-8.
_UNPRINTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]")
_UTF8 = codecs.getincrementaldecoder("utf-8")
_SPEAKS_JSON = "a worker that speaks JSON needs persistentWorkerProtocol=json"
#: Objects become lists of pairs, so that a field that stands twice is seen.
_JSON = json.JSONDecoder(object_pairs_hook=list)
_JSON_FIELDS = {
    "exitCode": "exit_code",
    "output": "output",
    "requestId": "request_id",
    "wasCancelled": "was_cancelled",
}
_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1
_BLANK = re.compile(rb"[ \t\r\n]*+")
_FIRST_KEY = re.compile(rb'\{[ \t\r\n]*+(?:(["}])|\Z)')
_JSON_KEY = re.compile(rb'[ \t\r\n]*+\{[ \t\r\n]*+"([A-Za-z]*)')
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
_OUTSIDE_STRINGS = re.compile(rb'[^"{}]*')
_DEPTH_CHANGES = {b'"': 0, b"{": 1, b"}": -1}


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


_NO_RESPONSE = Response()


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
        pieces = []
        for path, digest in inputs:
            name = path.encode()
            size, length = len(name), len(digest)
            if size + length < _SHORT:
                pieces.append(_SHORT_INPUT % (size + length + 4, size, name, length, digest))
                continue
            each = b"\x0a%b%b\x12%b%b" % (varint(size), name, varint(length), digest)
            pieces.append(b"\x12%b%b" % (varint(len(each)), each))
        return b"".join(pieces)

    def join_inputs(self, pieces: Iterable[bytes]) -> bytes:
        """See `Encoding.join_inputs`."""
        return b"".join(pieces)

    def decoder(self, max_frame_bytes: int) -> ProtoDecoder:
        """See `Encoding.decoder`."""
        return ProtoDecoder(max_frame_bytes)


class JsonEncoding:
    """One JSON object a line, camelCase.

    Args:
        always: fields that are written at their default too; Bazel leaves them out (bazel#14293).
    """

    name = "json"

    def __init__(self, always: frozenset[str] = frozenset()) -> None:
        self._always = always

    def encode(self, request: Request) -> bytes:
        """See `Encoding.encode`."""
        fields = {
            "requestId": request.request_id,
            "cancel": request.cancel,
            "verbosity": request.verbosity,
            "sandboxDir": request.sandbox_dir,
        }
        rest = {name: value for name, value in fields.items() if value or name in self._always}
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
        self._buffer = bytearray()
        self._limit = max_frame_bytes

    @property
    def pending(self) -> bytes:
        """See `Decoder.pending`."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Response]:
        """See `Decoder.feed`."""
        buffer = self._buffer
        buffer += data
        responses: list[Response] = []
        start = 0
        while (frame := self._frame_at(start)) is not None:
            payload_start, end = frame
            responses.append(self._parse(start, payload_start, end))
            start = end
        del buffer[:start]
        return responses

    def _frame_at(self, start: int) -> tuple[int, int] | None:
        """Where the payload of the frame at ``start`` begins and ends; None until it is here."""
        buffer = self._buffer
        length = shift = 0
        for index in range(start, min(len(buffer), start + _MAX_VARINT_BYTES)):
            length |= (buffer[index] & 0x7F) << shift
            shift += 7
            if buffer[index] < 0x80:
                begin = index + 1
                break
        else:
            if len(buffer) - start >= _MAX_VARINT_BYTES:
                raise self._refused(start, Rule.OVERSIZED, "its length does not end")
            return None
        if length:
            self._check_first_field(start, begin)
        if length > self._limit:
            raise self._refused(
                start, Rule.OVERSIZED, f"{length} bytes announced, {self._limit} allowed"
            )
        end = begin + length
        return (begin, end) if end <= len(buffer) else None

    def _check_first_field(self, start: int, begin: int) -> None:
        """Refuses what can't be the first field, as far as it is here; text never can be."""
        first = self._buffer[begin : begin + 2]
        if first and first[0] not in _KNOWN_TAGS:
            raise self._refused(start, Rule.MALFORMED, f"first field tag is 0x{first[0]:02x}")
        # The only tag that is a printable character, a space: no text goes on with 0 or 1.
        if len(first) == 2 and first[0] == _CANCELLED_TAG and first[1] > 1:
            raise self._refused(start, Rule.MALFORMED, f"was_cancelled is 0x{first[1]:02x}")

    def _parse(self, start: int, payload_start: int, end: int) -> Response:
        try:
            message = worker.WorkResponse.FromString(bytes(self._buffer[payload_start:end]))
        except DecodeError as error:
            raise self._refused(start, Rule.MALFORMED, str(error)) from None
        return Response(
            exit_code=message.exit_code,
            output=message.output,
            request_id=message.request_id,
            was_cancelled=message.was_cancelled,
        )

    def _refused(self, start: int, rule: Rule, problem: str) -> FrameError:
        error = _not_a_response(bytes(self._buffer[start:]), rule, problem)
        if self._buffer.startswith(b'{"', start):  # bazel#28405
            return FrameError(error.rule, f"{error.detail}; {_SPEAKS_JSON}")
        return error


class JsonDecoder:
    """Decodes JSON WorkResponses; an object may span lines, as Bazel's own reader allows.

    It looks for the end of an object as bytes arrive and parses it then, once.
    """

    __slots__ = ("_buffer", "_depth", "_is_in_string", "_limit", "_scanned")

    def __init__(self, max_frame_bytes: int) -> None:
        self._buffer = bytearray()
        self._limit = max_frame_bytes
        self._scanned = self._depth = 0
        self._is_in_string = False

    @property
    def pending(self) -> bytes:
        """See `Decoder.pending`."""
        return bytes(self._buffer)

    def feed(self, data: bytes) -> list[Response]:
        """See `Decoder.feed`."""
        self._buffer += data
        responses: list[Response] = []
        while (end := self._object_end()) is not None:
            responses.append(_from_json(bytes(self._buffer[:end])))
            del self._buffer[:end]
            self._scanned = 0
        return responses

    def _object_end(self) -> int | None:
        """Where the object at the head of the buffer ends; None when that isn't here yet."""
        end = self._scan() if self._scanned or self._has_begun() else None
        length = len(self._buffer) if end is None else end
        if length > self._limit:
            raise FrameError(
                Rule.OVERSIZED, f"{length} bytes without an end, {self._limit} allowed"
            )
        return end

    def _has_begun(self) -> bool:
        """Drops blank space; whether an object, its first key or its end follows.

        Raises:
            FrameError: when something else does.
        """
        buffer = self._buffer
        del buffer[: _skip(_BLANK, buffer, 0)]
        begun = _FIRST_KEY.match(buffer)
        if buffer and begun is None:
            raise _not_a_response(bytes(buffer), Rule.MALFORMED, "no JSON object")
        return begun is not None and begun[1] is not None

    def _scan(self) -> int | None:
        """Goes on to the end of the object, skipping strings; None when that isn't here yet."""
        buffer = self._buffer
        while True:
            pattern = _STRING if self._is_in_string else _OUTSIDE_STRINGS
            self._scanned = _skip(pattern, buffer, self._scanned)
            here = bytes(buffer[self._scanned : self._scanned + 1])
            if here not in _DEPTH_CHANGES:  # the end of the buffer, or a backslash just before it
                return None
            self._scanned += 1
            self._depth += _DEPTH_CHANGES[here]
            if here == b'"':
                self._is_in_string = not self._is_in_string
            if not self._depth:
                return self._scanned


def encoding(protocol: str, json_always: frozenset[str] = frozenset()) -> Encoding:
    """The encoding named by ``persistentWorkerProtocol``, ``proto`` or ``json``.

    Args:
        protocol: its name.
        json_always: see `JsonEncoding`.
    """
    return JsonEncoding(json_always) if protocol == "json" else ProtoEncoding()


def truncated(pending: bytes) -> FrameError:
    """The error for a stream that ended, or a time that ran out, amid a response."""
    if _is_text(pending) and not _is_json_response(pending):
        return FrameError(Rule.STDOUT_TEXT, _shown(pending))
    return FrameError(Rule.TRUNCATED, f"only {len(pending)} bytes came: {_shown(pending)}")


def surplus(pending: bytes) -> FrameError:
    """The error for bytes on stdout that no request asked for."""
    if _is_text(pending) and not _is_json_response(pending):
        return FrameError(Rule.STDOUT_TEXT, _shown(pending))
    return FrameError(Rule.UNEXPECTED_RESPONSE, f"bytes after the response: {_shown(pending)}")


def _skip(pattern: re.Pattern[bytes], data: bytearray, start: int) -> int:
    found = pattern.match(data, start)
    return found.end() if found else start


def _from_json(data: bytes) -> Response:
    """The response of a JSON object; unknown fields are skipped, as the protocol asks of readers.

    An object without a single known field is no response but, most likely, a line of a log.
    """
    try:
        pairs = _JSON.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise FrameError(Rule.MALFORMED, f"{error}: {_shown(data)}") from None
    known = [(key, value) for key, value in pairs if key in _JSON_FIELDS]
    if pairs and not known:
        raise FrameError(Rule.STDOUT_TEXT, f"JSON, but no WorkResponse: {_shown(data)}")
    if len(dict(known)) < len(known):
        raise FrameError(Rule.MALFORMED, f"a field stands twice: {_shown(data)}")
    given = {_JSON_FIELDS[key]: _checked(key, value) for key, value in known if value is not None}
    return Response(**given)


def _checked(key: str, value: object) -> Any:
    """The value of a JSON field, once it is known to be one that the message can hold."""
    expected = type(getattr(_NO_RESPONSE, _JSON_FIELDS[key]))
    if type(value) is not expected:
        shown = _shown(repr(value).encode(errors="replace"))
        raise FrameError(Rule.MALFORMED, f"{key} is {shown}, not of type {expected.__name__}")
    if type(value) is int and not _INT32_MIN <= value <= _INT32_MAX:
        raise FrameError(Rule.MALFORMED, f"{key} is {value}, which is no int32")
    if isinstance(value, str):  # half of a surrogate pair is no character, and can't be stored
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _not_a_response(data: bytes, rule: Rule, detail: str) -> FrameError:
    if _is_text(data):
        return FrameError(Rule.STDOUT_TEXT, _shown(data))
    return FrameError(rule, f"{detail}: {_shown(data)}")


def _is_text(data: bytes) -> bool:
    """Whether it reads like something printed, perhaps with a proper response behind it."""
    text = _UTF8("surrogateescape").decode(data[:_SHOWN])  # the last character may be cut in two
    other = _UNPRINTED.search(text)
    printed = other.start() if other else len(text)
    return printed == len(text) > 0 or printed >= _FEWEST_PRINTED


def _is_json_response(data: bytes) -> bool:
    """Whether it reads like the beginning of a WorkResponse in JSON."""
    begun = _JSON_KEY.match(data)
    return begun is not None and any(key.startswith(begun[1].decode()) for key in _JSON_FIELDS)


def _shown(data: bytes) -> str:
    return repr(data[:_SHOWN].decode(errors="backslashreplace")) + (
        "…" if len(data) > _SHOWN else ""
    )


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
