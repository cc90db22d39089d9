"""Requests as a worker receives them: a stream of bytes, split where requests end.

The splitter never holds bytes back. Which encoding a stream has is seen from its first bytes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from google.protobuf.message import DecodeError

from rpw_fixture.wire.protos import worker

#: Longer requests are no requests: a length that stands where none should.
_MOST_BYTES = 1 << 30
_MOST_LENGTH_BYTES = 5
_MOST_HEAD_BYTES = 8
#: How JSON begins. As a protobuf message, its bytes would end in a field that no request has.
_JSON = re.compile(rb'\s*\{\s*["}]')
_MAYBE_JSON = re.compile(rb"\s*(\{\s*)?")
_JSON_TOKEN = re.compile(rb'["{}]|\\.', re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedRequest:
    """One WorkRequest, without what a recording does not need.

    Attributes:
        arguments: of the action; flagfiles are expanded already.
        paths: its inputs.
        request_id: 0 for a singleplex request.
        cancel: withdraws the request with this number.
        sandbox_dir: prefix of all its paths; "" for none.
    """

    arguments: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    request_id: int = 0
    cancel: bool = False
    sandbox_dir: str = ""


class _Splitter(Protocol):
    def end(self, data: bytearray) -> int | None: ...

    def decode(self, frame: bytes) -> ReceivedRequest: ...


class RequestStream:
    """Splits a worker's stdin after each request.

    Args:
        protocol: ``proto`` or ``json``; "" to find out.

    Attributes:
        protocol: the same, once it is known.
    """

    def __init__(self, protocol: str = "") -> None:
        self.protocol = protocol
        self._splitter: _Splitter | None = _SPLITTERS[protocol]() if protocol else None
        self._frame = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, ReceivedRequest | None]]:
        """Yield ``data`` in pieces, and with the last byte of each request that request.

        Raises:
            ValueError: for bytes that are no request, after the pieces before them.
        """
        start = 0
        while start < len(data):
            known = len(self._frame)
            self._frame += data[start:]
            end = self._end()
            if end is None:
                yield data[start:], None
                return
            frame = bytes(self._frame[:end])
            self._frame.clear()
            stop = start + end - known
            yield data[start : stop - 1], None
            yield data[stop - 1 : stop], self._decode(frame)
            start = stop

    @property
    def is_within_request(self) -> bool:
        """Whether a request has begun and not ended."""
        return bool(self._frame.strip())

    def _end(self) -> int | None:
        if self._splitter is None:
            frame = bytes(self._frame[:256])
            if _JSON.match(frame):
                self.protocol = "json"
            elif _MAYBE_JSON.fullmatch(frame):
                return None
            else:
                self.protocol = "proto"
            self._splitter = _SPLITTERS[self.protocol]()
        return self._splitter.end(self._frame)

    def _decode(self, frame: bytes) -> ReceivedRequest:
        assert self._splitter is not None  # a frame has ended
        return self._splitter.decode(frame)


class _ProtoSplitter:
    def end(self, data: bytearray) -> int | None:
        head = _length(data[:_MOST_HEAD_BYTES])
        if head is None:
            return None
        size, begin = head
        return begin + size if len(data) >= begin + size else None

    def decode(self, frame: bytes) -> ReceivedRequest:
        head = _length(frame[:_MOST_HEAD_BYTES])
        assert head is not None  # it was there before
        try:
            message = worker.WorkRequest.FromString(frame[head[1] :])
        except DecodeError as error:
            raise ValueError(f"bytes that are no WorkRequest: {error}") from None
        return ReceivedRequest(
            arguments=tuple(message.arguments),
            paths=tuple(each.path for each in message.inputs),
            request_id=message.request_id,
            cancel=message.cancel,
            sandbox_dir=message.sandbox_dir,
        )


class _JsonSplitter:
    """Finds the end of an object by its braces; no byte is scanned twice."""

    def __init__(self) -> None:
        self._scanned = self._depth = 0
        self._in_text = False

    def end(self, data: bytearray) -> int | None:
        # A backslash at the end belongs to the byte that follows.
        for token in _JSON_TOKEN.finditer(data, self._scanned):
            self._scanned = token.end()
            if token[0] == b'"':
                self._in_text = not self._in_text
            elif token[0] in (b"{", b"}") and not self._in_text:
                self._depth += 1 if token[0] == b"{" else -1
                if self._depth <= 0:
                    end = token.end()
                    self._scanned = self._depth = 0
                    return end
        self._scanned = max(self._scanned, len(data) - (1 if data.endswith(b"\\") else 0))
        return None

    def decode(self, frame: bytes) -> ReceivedRequest:
        fields: Any = json.loads(frame)
        if not isinstance(fields, dict):
            raise TypeError("JSON that is no object")
        return ReceivedRequest(
            arguments=tuple(map(str, fields.get("arguments") or ())),
            paths=tuple(str(each.get("path") or "") for each in fields.get("inputs") or ()),
            request_id=int(fields.get("requestId") or fields.get("request_id") or 0),
            cancel=bool(fields.get("cancel")),
            sandbox_dir=str(fields.get("sandboxDir") or fields.get("sandbox_dir") or ""),
        )


_SPLITTERS: dict[str, type[_ProtoSplitter | _JsonSplitter]] = {
    "proto": _ProtoSplitter,
    "json": _JsonSplitter,
}


def _length(data: bytes | bytearray) -> tuple[int, int] | None:
    """Return the length that data begins with, and where it ends; None if it is incomplete."""
    value = 0
    for at, byte in enumerate(data[: _MOST_LENGTH_BYTES + 1]):
        value |= (byte & 0x7F) << 7 * at
        if byte < 0x80:
            if value > _MOST_BYTES:
                break
            return value, at + 1
    else:
        if len(data) <= _MOST_LENGTH_BYTES:
            return None
    raise ValueError(f"bytes that are no length of a WorkRequest: {bytes(data[:8])!r}")
