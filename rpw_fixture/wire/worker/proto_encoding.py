"""WorkRequests and WorkResponses as protobuf messages, each after its length as a varint.

The decoder takes data in pieces of any size. It raises at the first byte that can't belong to a
response, because the rest of the "frame" may never arrive: a worker that prints ``Hello`` announces
72 bytes.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf.message import DecodeError

from rpw_fixture.wire.protos import worker
from rpw_fixture.wire.varints import varint
from rpw_fixture.wire.worker.messages import FrameError, ProtocolRule, Request, Response
from rpw_fixture.wire.worker.protocol_names import WorkerProtocol
from rpw_fixture.wire.worker.stray_output import begins_with_text, not_a_response

#: First bytes of the fields of a WorkResponse (exit_code, output, request_id, was_cancelled).
_KNOWN_TAGS = frozenset((0x08, 0x12, 0x18, 0x20))
_MAX_VARINT_BYTES = 5
#: Format of an Input whose lengths all take one byte, and the bound on path and digest together.
_SHORT_INPUT, _SHORT = b"\x12%c\x0a%c%b\x12%c%b", 0x80 - 4
_CANCELLED_TAG = 0x20
#: Wire types that a reader can skip: varint, 8 bytes, length-delimited, 4 bytes.
_WIRE_TYPES = frozenset((0, 1, 2, 5))
#: First byte of field 5's tag; lower tags are known fields of the wrong type.
_LEAST_UNKNOWN = 0x28
#: Evidence of a JSON object instead of a frame.
SPEAKS_JSON = "it answers to JSON: set persistentWorkerProtocol=json"


class ProtoEncoding:
    """Messages of blaze.worker, each after its length as a varint."""

    name = WorkerProtocol.PROTO

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


class ProtoDecoder:
    """A decoder of length-delimited WorkResponses."""

    __slots__ = ("_buffer", "_limit")

    def __init__(self, max_frame_bytes: int) -> None:
        self._buffer = bytearray()
        self._limit = max_frame_bytes

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
        return 0

    def feed(self, data: bytes) -> list[Response]:
        """See `ResponseDecoder.feed`."""
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
        """Return begin and end of the payload of the frame at ``start``; None until it is complete."""
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
                raise self._refused(start, ProtocolRule.OVERSIZED, "its length does not end")
            return None
        if length:
            self._check_first_field(start, begin, begin + length)
        if length > self._limit:
            raise self._refused(
                start, ProtocolRule.OVERSIZED, f"{length} bytes announced, {self._limit} allowed"
            )
        end = begin + length
        return (begin, end) if end <= len(buffer) else None

    def _check_first_field(self, start: int, begin: int, end: int) -> None:
        """Raise when the bytes so far can't be a first field.

        A field of a later protocol version is accepted, unless the frame so far looks like text:
        printed text would be mistaken for such fields too often.
        """
        first = self._buffer[begin : begin + 2]
        if first and first[0] not in _KNOWN_TAGS:
            can_be_skipped = first[0] >= _LEAST_UNKNOWN and first[0] & 7 in _WIRE_TYPES
            if not can_be_skipped or begins_with_text(self._buffer[start:end]):
                raise self._refused(
                    start, ProtocolRule.MALFORMED, f"first field tag is 0x{first[0]:02x}"
                )
            return
        # This tag is a printable character, a space; but text never continues with 0 or 1.
        if len(first) == 2 and first[0] == _CANCELLED_TAG and first[1] > 1:
            raise self._refused(start, ProtocolRule.MALFORMED, f"was_cancelled is 0x{first[1]:02x}")

    def _parse(self, start: int, payload_start: int, end: int) -> Response:
        try:
            message = worker.WorkResponse.FromString(bytes(self._buffer[payload_start:end]))
        except DecodeError as error:
            raise self._refused(start, ProtocolRule.MALFORMED, str(error)) from None
        return Response(
            exit_code=message.exit_code,
            output=message.output,
            request_id=message.request_id,
            was_cancelled=message.was_cancelled,
        )

    def _refused(self, start: int, rule: ProtocolRule, problem: str) -> FrameError:
        error = not_a_response(bytes(self._buffer[start:]), rule, problem)
        if self._buffer.startswith(b'{"', start):  # bazel#28405
            return FrameError(error.rule, f"{error.detail}; {SPEAKS_JSON}")
        return error
