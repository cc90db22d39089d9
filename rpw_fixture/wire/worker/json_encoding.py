"""WorkRequests and WorkResponses as JSON objects, one line for each request.

The decoder takes data in pieces of any size. It raises at the first byte that can't belong to a
response, because the rest may never arrive.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from typing import Any

from rpw_fixture.wire.worker.messages import (
    JSON_FIELDS,
    FrameError,
    ProtocolRule,
    Request,
    Response,
    ResponseDecoder,
)
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.wire.worker.stray_output import not_a_response, shown

#: Objects become lists of pairs, so that a duplicate field is noticed.
_JSON = json.JSONDecoder(object_pairs_hook=list)
_NO_RESPONSE = Response()
_INT32_MIN, _INT32_MAX = -(1 << 31), (1 << 31) - 1
_BLANK = re.compile(rb"[ \t\r\n]*+")
_FIRST_KEY = re.compile(rb'\{[ \t\r\n]*+(?:(["}])|\Z)')
#: An object whose first name is not in double quotes, or that has no name.
_BROKEN = re.compile(rb"\{[ \t\r\n]*+(?:'|[A-Za-z_]+[ \t]*+:|[^{}\n]*+\}[ \t\r\n]*+\Z)")
_STRING = re.compile(rb'(?:[^"\\]++|\\.)*+', re.DOTALL)
#: Names of fields without upper case, to recognize misspelt ones such as ``exit_code``.
_BY_LETTERS = {name.lower(): name for name in JSON_FIELDS}
#: Longest value of an unknown field that is shown, characters.
_SHOWN = 80
_OUTSIDE_STRINGS = re.compile(rb'[^"{}]*')
_DEPTH_CHANGES = {b'"': 0, b"{": 1, b"}": -1}


class JsonEncoding:
    """One JSON object per line, with camelCase names.

    Args:
        always: fields that are written even with their default; Bazel omits them (bazel#14293).
        by_line: a response ends at its newline, as in NativeLink, and not with its object.
    """

    name = WorkerProtocol.JSON

    def __init__(self, always: frozenset[str] = frozenset(), *, by_line: bool = False) -> None:
        self._always = always
        self._by_line = by_line

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
        """See `Encoding.encode_inputs`; digests are base64, as in protobuf's JSON mapping."""
        return b",".join(
            _json({"path": path, "digest": base64.b64encode(digest).decode()})
            for path, digest in inputs
        )

    def join_inputs(self, pieces: Iterable[bytes]) -> bytes:
        """See `Encoding.join_inputs`."""
        return b",".join(piece for piece in pieces if piece)

    def decoder(self, max_frame_bytes: int) -> ResponseDecoder:
        """See `Encoding.decoder`."""
        return (JsonLineDecoder if self._by_line else JsonDecoder)(max_frame_bytes)


class JsonDecoder:
    """A decoder of JSON WorkResponses; an object may span lines, as in Bazel's reader.

    It looks for the end of an object while bytes arrive, and parses the object once.
    """

    __slots__ = (
        "_buffer",
        "_depth",
        "_is_in_string",
        "_limit",
        "_misses_newline",
        "_scanned",
        "_unended",
    )

    def __init__(self, max_frame_bytes: int) -> None:
        self._buffer = bytearray()
        self._limit = max_frame_bytes
        self._scanned = self._depth = 0
        self._is_in_string = False
        self._misses_newline = False
        self._unended = 0

    @property
    def pending(self) -> bytes:
        """See `ResponseDecoder.pending`."""
        return bytes(self._buffer)

    @property
    def lacks(self) -> str:
        """See `ResponseDecoder.lacks`."""
        return ""

    @property
    def unterminated(self) -> int:
        """See `ResponseDecoder.unterminated`."""
        return self._unended + self._misses_newline

    def feed(self, data: bytes) -> list[Response]:
        """See `ResponseDecoder.feed`."""
        self._buffer += data
        responses: list[Response] = []
        while (end := self._object_end()) is not None:
            responses.append(_from_json(bytes(self._buffer[:end])))
            del self._buffer[:end]
            self._scanned = 0
            self._misses_newline = True
        return responses

    def _object_end(self) -> int | None:
        """Return where the first object in the buffer ends; None when the end has not arrived yet."""
        end = self._scan() if self._scanned or self._has_begun() else None
        _require_size(len(self._buffer) if end is None else end, self._limit)
        return end

    def _has_begun(self) -> bool:
        """Drop white space; return whether an object with its first key or its end follows.

        Raises:
            FrameError: when something else follows.
        """
        buffer = self._buffer
        blank = _skip(_BLANK, buffer, 0)
        is_behind_object = self._misses_newline
        if is_behind_object and buffer:
            self._look_for_newline(blank)
        del buffer[:blank]
        begun = _FIRST_KEY.match(buffer)
        if buffer and begun is None:
            raise _not_an_object(bytes(buffer), is_behind_object=is_behind_object)
        return begun is not None and begun[1] is not None

    def _look_for_newline(self, blank: int) -> None:
        """Note whether the newline after a response is among the first ``blank`` bytes."""
        if self._buffer.find(b"\n", 0, blank) >= 0:
            self._misses_newline = False
        elif blank < len(self._buffer):
            self._misses_newline = False
            self._unended += 1

    def _scan(self) -> int | None:
        """Scan to the end of the object, skipping strings; return None when it has not arrived yet."""
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


class JsonLineDecoder:
    """A decoder of JSON WorkResponses, one per line: a response without a newline is incomplete.

    An object that spans lines is refused, and empty lines are skipped (NativeLink, live_worker.rs).
    """

    __slots__ = ("_buffer", "_limit", "_scanned")

    def __init__(self, max_frame_bytes: int) -> None:
        self._buffer = bytearray()
        self._limit = max_frame_bytes
        self._scanned = 0

    @property
    def pending(self) -> bytes:
        """See `ResponseDecoder.pending`."""
        return bytes(self._buffer) if self._buffer.strip() else b""

    @property
    def lacks(self) -> str:
        """See `ResponseDecoder.lacks`."""
        return "a newline" if self._buffer.rstrip().endswith(b"}") else ""

    @property
    def unterminated(self) -> int:
        """See `ResponseDecoder.unterminated`."""
        return 0

    def feed(self, data: bytes) -> list[Response]:
        """See `ResponseDecoder.feed`."""
        self._buffer += data
        responses: list[Response] = []
        while (end := self._buffer.find(b"\n", self._scanned)) >= 0:
            line = bytes(self._buffer[:end])
            del self._buffer[: end + 1]
            self._scanned = 0
            _require_size(len(line), self._limit)
            if line:
                responses.append(_from_line(line))
        self._scanned = len(self._buffer)
        _require_size(self._scanned, self._limit)
        return responses


def _require_size(length: int, limit: int) -> None:
    if length > limit:
        raise FrameError(ProtocolRule.OVERSIZED, f"{length} bytes without an end, {limit} allowed")


def _from_line(line: bytes) -> Response:
    if not line.lstrip().startswith(b"{"):
        raise not_a_response(line, ProtocolRule.MALFORMED, "not a JSON object")
    return _from_json(line)


def _skip(pattern: re.Pattern[bytes], data: bytearray, start: int) -> int:
    found = pattern.match(data, start)
    return found.end() if found else start


def _from_json(data: bytes) -> Response:
    """Return the response in a JSON object; skip unknown fields, as the protocol demands.

    An object without any field that is known, or misspelt, is most likely a line of a log.
    """
    try:
        pairs = _JSON.decode(data.decode())
    except (ValueError, RecursionError) as error:
        raise FrameError(ProtocolRule.MALFORMED, f"{error}: {shown(data)}") from None
    known = [(key, value) for key, value in pairs if key in JSON_FIELDS]
    others = (
        [pair for pair in pairs if pair[0] not in JSON_FIELDS] if len(known) < len(pairs) else []
    )
    if pairs and not known and not any(intended_field(key) for key, _ in others):
        raise FrameError(ProtocolRule.STDOUT_TEXT, f"JSON, but not a WorkResponse: {shown(data)}")
    if len(dict(known)) < len(known):
        raise FrameError(ProtocolRule.MALFORMED, f"a field occurs twice: {shown(data)}")
    given = {JSON_FIELDS[key]: _checked(key, value) for key, value in known if value is not None}
    return Response(**given, ignored=tuple((key, _shortened(value)) for key, value in others))


def intended_field(name: str) -> str:
    """Return the field of a WorkResponse that a misspelt name stands for; empty if there is none."""
    return _BY_LETTERS.get(name.replace("_", "").replace("-", "").lower(), "")


def _shortened(value: object) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…"


def _not_an_object(data: bytes, *, is_behind_object: bool) -> FrameError:
    """Return the error for bytes that are no JSON object: a broken one, or printed text."""
    if _BROKEN.match(data) or (is_behind_object and not data.strip(b"}] \t\r\n")):
        return FrameError(ProtocolRule.MALFORMED, f"broken JSON: {shown(data)}")
    return not_a_response(data, ProtocolRule.MALFORMED, "not a JSON object")


def _checked(key: str, value: object) -> Any:
    """Return the value of a JSON field.

    Raises:
        FrameError: when it is of the wrong type, or out of range.
    """
    expected = type(getattr(_NO_RESPONSE, JSON_FIELDS[key]))
    if type(value) is not expected:
        text = shown(repr(value).encode(errors="replace"))
        raise FrameError(
            ProtocolRule.MALFORMED, f"{key} is {text}, not of type {expected.__name__}"
        )
    if type(value) is int and not _INT32_MIN <= value <= _INT32_MAX:
        raise FrameError(ProtocolRule.MALFORMED, f"{key} is {value}, which does not fit an int32")
    if isinstance(value, str):  # half of a surrogate pair can't be encoded as UTF-8
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def _json(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()
