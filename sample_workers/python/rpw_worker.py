"""The worker side of Bazel's persistent worker protocol, in the standard library alone.

Copy this file next to your tool. It holds the messages, both encodings and the singleplex loop,
and nothing about any particular tool. A tool is one function, ``handle(request) ->
WorkResponse``, started with ``sys.exit(rpw_worker.main(handle))``. With ``--persistent_worker``
it then serves requests until stdin ends; without it, it runs once. ``--worker_protocol=json``
picks JSON instead of length-prefixed protobuf. Start-up arguments that remain are put before
those of every request, as they are when the tool runs once.

Places to change behaviour: a `Channel` subclass (what is read and written), and the ``serve``
argument of `main` (in which order). Slow imports (json, typing, dataclasses, argparse) are kept
off the way to the first response.
"""

# ruff: noqa: PTH118, PTH123 - pathlib is slow to load
from __future__ import annotations

import os
import sys

TYPE_CHECKING = False  # stands for typing's own, whose import costs 8 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from io import BufferedReader, BufferedWriter
    from typing import Any

    Handler = Callable[["WorkRequest"], "WorkResponse"]

_FLAGFILE_DEPTH = 16
_MASK_64 = (1 << 64) - 1


class ToolError(Exception):
    """The request failed, and the text tells its author why: it becomes the response's output."""


class RequestCancelled(Exception):  # noqa: N818 - the protocol's term, and no error
    """Raised by `WorkRequest.checkpoint` once the client no longer wants the result."""


class WorkRequest:
    """One action to run. The fields are those of blaze.worker.WorkRequest.

    ``inputs`` maps each path to the digest as sent: an opaque value, and with some servers there
    are none. Use it to drop cached state early, never to decide that a file is unchanged.
    """

    def __init__(
        self,
        arguments: list[str] | None = None,
        *,
        inputs: dict[str, bytes] | None = None,
        request_id: int = 0,
        cancel: bool = False,
        verbosity: int = 0,
        sandbox_dir: str = "",
    ) -> None:
        self.arguments = arguments or []
        self.inputs = inputs or {}
        self.request_id = request_id
        self.cancel = cancel
        self.verbosity = verbosity
        self.sandbox_dir = sandbox_dir
        self.cancelled = False  # set by a multiplex loop while `handle` runs

    def resolve(self, path: str) -> str:
        """Where the file really is: below ``sandbox_dir`` when the request has one."""
        return os.path.join(self.sandbox_dir, path)

    def checkpoint(self) -> None:
        """Raise RequestCancelled if a cancel request came; call it before every write."""
        if self.cancelled:
            raise RequestCancelled

    def expanded_arguments(self) -> list[str]:
        """The arguments with every ``@flagfile`` replaced by its lines.

        Bazel has expanded them by the time a worker is asked; Buildfarm, NativeLink and one-shot
        runs have not. ``@@x`` and ``@repo//x`` stay as they are, the rule Bazel follows.
        """
        return list(self._expand(self.arguments, _FLAGFILE_DEPTH))

    def _expand(self, arguments: list[str], depth: int) -> Iterator[str]:
        for argument in arguments:
            if not argument.startswith("@") or argument[1:2] in ("", "@") or "//" in argument:
                yield argument
            elif depth == 0:
                raise ToolError(f"{argument}: flagfiles are nested too deeply")
            else:
                # The lines of bytes end at \n and \r only, those of text also at U+2028 and others.
                lines = read_file(self, argument[1:]).splitlines()
                yield from self._expand([line.decode() for line in lines], depth - 1)


class WorkResponse:
    """The answer to one request. The fields are those of blaze.worker.WorkResponse.

    The serving loop fills in ``request_id``; ``output`` is what the user gets to read.
    """

    def __init__(
        self,
        exit_code: int = 0,
        output: str = "",
        *,
        request_id: int = 0,
        was_cancelled: bool = False,
    ) -> None:
        self.exit_code = exit_code
        self.output = output
        self.request_id = request_id
        self.was_cancelled = was_cancelled


def read_file(request: WorkRequest, path: str) -> bytes:
    """The bytes of an input. Raises ToolError that names the path as the action wrote it."""
    try:
        with open(request.resolve(path), "rb") as file:
            return file.read()
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}") from error


class ProtoCodec:
    """Length-prefixed protobuf, the default encoding: a varint byte count, then the message."""

    def read(self, stream: BufferedReader) -> WorkRequest | None:
        size = _read_varint(stream)
        if size is None:
            return None
        payload = stream.read(size)
        if len(payload) < size:
            raise EOFError(f"stdin ended after {len(payload)} of {size} bytes of a request")
        return self.decode(payload)

    def decode(self, payload: bytes) -> WorkRequest:
        request = WorkRequest()
        for number, value in _fields(payload):
            if number == 1:
                request.arguments.append(_text(value))
            elif number == 2:
                entry = dict(_fields(_bytes(value)))
                request.inputs[_text(entry.get(1, b""))] = _bytes(entry.get(2, b""))
            elif number == 3:
                request.request_id = _int32(value)
            elif number == 4:
                request.cancel = bool(value)
            elif number == 5:
                request.verbosity = _int32(value)
            elif number == 6:
                request.sandbox_dir = _text(value)
        return request

    def encode(self, response: WorkResponse) -> bytes:
        text = response.output.encode("utf-8", "replace")
        message = b"".join(
            (
                _varint_field(1, response.exit_code),
                b"\x12" + encode_varint(len(text)) + text if text else b"",
                _varint_field(3, response.request_id),
                _varint_field(4, response.was_cancelled),
            )
        )
        return encode_varint(len(message)) + message


def encode_varint(value: int) -> bytes:
    """Base 128, least significant group first; a negative number takes ten bytes (protobuf)."""
    value &= _MASK_64
    groups = bytearray()
    while value > 0x7F:
        groups.append(value & 0x7F | 0x80)
        value >>= 7
    groups.append(value)
    return bytes(groups)


def _varint_field(number: int, value: int) -> bytes:
    """A proto3 integer field, which is left out when zero."""
    return encode_varint(number << 3) + encode_varint(value) if value else b""


def _read_varint(stream: BufferedReader) -> int | None:
    """The next length prefix, or None when the stream ends before its first byte."""
    value = shift = 0
    while byte := stream.read(1):
        value |= (byte[0] & 0x7F) << shift
        if byte[0] < 0x80:
            return value
        shift += 7
        if shift > 63:
            raise ValueError("the length prefix of a request is longer than ten bytes")
    if shift:
        raise EOFError("stdin ended inside a length prefix")
    return None


def _varint_at(data: bytes, at: int) -> tuple[int, int]:
    """The varint at an offset and the offset after it."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a varint in a request is cut short or too long")
        value |= (data[at] & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if data[at - 1] < 0x80:
            return value & _MASK_64, at


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Field numbers and raw values in order, unknown ones included, so the caller can skip them."""
    at = 0
    while at < len(data):
        tag, at = _varint_at(data, at)
        if tag & 7 == 0:
            number, at = _varint_at(data, at)
            yield tag >> 3, number
            continue
        if tag & 7 == 2:
            size, at = _varint_at(data, at)
        elif tag & 7 in (1, 5):
            size = 8 if tag & 7 == 1 else 4
        else:
            raise ValueError(f"wire type {tag & 7} in a request")
        if at + size > len(data):
            raise ValueError("a field of a request is longer than the request")
        yield tag >> 3, data[at : at + size]
        at += size


def _bytes(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise TypeError("a number where a WorkRequest has text or bytes")
    return value


def _text(value: int | bytes) -> str:
    return _bytes(value).decode("utf-8")


def _int32(value: int | bytes) -> int:
    if not isinstance(value, int):
        raise TypeError("bytes where a WorkRequest has a number")
    return (value + 0x80000000 & 0xFFFFFFFF) - 0x80000000


class JsonCodec:
    """One JSON object after the other. Bazel ends each with a newline, but older versions did not.

    Objects are separated by their braces, so neither newlines nor the size of reads matter.
    """

    def __init__(self) -> None:
        import base64  # noqa: PLC0415 - only JSON workers pay for these imports
        import json  # noqa: PLC0415
        import re  # noqa: PLC0415

        self._base64 = base64
        self._json = json
        self._token = re.compile(rb'["{}]|\\.', re.DOTALL)
        self._buffer = b""
        self._start_over()

    def read(self, stream: BufferedReader) -> WorkRequest | None:
        while (text := self._cut()) is None:
            chunk = stream.read1(1 << 16)
            if not chunk:
                if self._buffer.strip():
                    raise EOFError(f"stdin ended inside a request: {self._buffer[:80]!r}")
                return None
            self._buffer += chunk
        return self.decode(text)

    def decode(self, text: bytes) -> WorkRequest:
        fields: dict[str, Any] = self._json.loads(text)
        entries = fields.get("inputs") or ()
        return WorkRequest(
            list(fields.get("arguments") or ()),
            inputs={
                entry.get("path") or "": self._base64.b64decode(entry.get("digest") or "")
                for entry in entries
            },
            request_id=int(fields.get("requestId") or 0),
            cancel=bool(fields.get("cancel")),
            verbosity=int(fields.get("verbosity") or 0),
            sandbox_dir=str(fields.get("sandboxDir") or ""),
        )

    def encode(self, response: WorkResponse) -> bytes:
        fields = {
            "exitCode": response.exit_code,
            "output": response.output,
            "requestId": response.request_id,
        }
        if response.was_cancelled:
            fields["wasCancelled"] = True
        return self._json.dumps(fields).encode() + b"\n"

    def _start_over(self) -> None:
        self._scanned = self._depth = 0
        self._in_text = False

    def _cut(self) -> bytes | None:
        """The first complete object, taken off the buffer, or None. No byte is scanned twice."""
        for token in self._token.finditer(self._buffer, self._scanned):
            self._scanned = token.end()
            if token[0] == b'"':
                self._in_text = not self._in_text
            elif token[0] in (b"{", b"}") and not self._in_text:
                self._depth += 1 if token[0] == b"{" else -1
                if self._depth <= 0:
                    text = self._buffer[: token.end()]
                    self._buffer = self._buffer[token.end() :]
                    self._start_over()
                    return text
        return None


class Channel:
    """Requests in, responses out. Nothing else may reach ``writer``: it is the protocol stream."""

    def __init__(
        self, codec: ProtoCodec | JsonCodec, reader: BufferedReader, writer: BufferedWriter
    ) -> None:
        self.codec = codec
        self.reader = reader
        self.writer = writer

    def read(self) -> WorkRequest | None:
        """The next request, or None at the end of stdin."""
        return self.codec.read(self.reader)

    def write(self, response: WorkResponse) -> None:
        """Send one response whole."""
        self.send(self.codec.encode(response))

    def send(self, data: bytes) -> None:
        """Send bytes as they are and flush."""
        self.writer.write(data)
        self.writer.flush()


def claim_standard_streams() -> tuple[BufferedReader, BufferedWriter]:
    """Take stdin and stdout for the protocol alone, and return them.

    From here on, file descriptor 1 is stderr and 0 is empty, for this process and for its children:
    neither a stray ``print`` nor a subprocess can damage the protocol (bazel#4897, bazel#8505).
    """
    reader = os.fdopen(os.dup(0), "rb")
    writer = os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return reader, writer


def answer(handle: Handler, request: WorkRequest) -> WorkResponse:
    """Run one request so that whatever the tool raises, sys.exit included, becomes its response."""
    try:
        response = handle(request)
    except ToolError as error:
        response = WorkResponse(1, f"{error}\n")
    except RequestCancelled:
        response = WorkResponse(was_cancelled=True)
    except SystemExit as stop:
        response = _from_system_exit(stop)
    except Exception:  # noqa: BLE001 - a worker outlives the bugs of single requests
        import traceback  # noqa: PLC0415 - rarely needed, slow to load

        response = WorkResponse(1, traceback.format_exc())
    response.request_id = request.request_id
    return response


def _from_system_exit(stop: SystemExit) -> WorkResponse:
    """What the interpreter makes of it (a tool that really exits hides why: bazel#11285)."""
    if stop.code is None or isinstance(stop.code, int):
        return WorkResponse(stop.code or 0)
    return WorkResponse(1, f"{stop.code}\n")


def serve(handle: Handler, channel: Channel) -> None:
    """Answer one request after the other until stdin ends.

    A cancel request read here is about a request that is answered already, so it is ignored.
    """
    while (request := channel.read()) is not None:
        if not request.cancel:
            channel.write(answer(handle, request))


def run_once(handle: Handler, arguments: list[str]) -> int:
    """Run as an ordinary tool: diagnostics to stderr, and the exit code to return."""
    response = answer(handle, WorkRequest(arguments))
    sys.stderr.write(response.output)
    return response.exit_code


def take_flag(arguments: list[str], name: str) -> bool:
    """Remove ``--name`` from the arguments; true if it was there."""
    found = name in arguments
    arguments[:] = [argument for argument in arguments if argument != name]
    return found


def take_value(arguments: list[str], name: str, default: str) -> str:
    """Remove ``--name=value`` from the arguments and return the last value, or the default."""
    prefix = f"{name}="
    found = [argument for argument in arguments if argument.startswith(prefix)]
    arguments[:] = [argument for argument in arguments if not argument.startswith(prefix)]
    return found[-1].removeprefix(prefix) if found else default


def main(
    handle: Handler,
    *,
    channel_type: type[Channel] = Channel,
    serve: Callable[[Handler, Channel], None] = serve,
) -> int:
    """Serve or run once, as ``sys.argv`` says, and return the process's exit status."""
    startup = sys.argv[1:]
    protocol = take_value(startup, "--worker_protocol", "proto")
    if protocol not in ("proto", "json"):
        sys.stderr.write(f"--worker_protocol={protocol}: must be proto or json\n")
        return 2
    if not take_flag(startup, "--persistent_worker"):
        return run_once(handle, startup)

    def handle_with_startup(request: WorkRequest) -> WorkResponse:
        request.arguments[:0] = startup
        return handle(request)

    codec = JsonCodec() if protocol == "json" else ProtoCodec()
    try:
        serve(handle_with_startup, channel_type(codec, *claim_standard_streams()))
    except (EOFError, ValueError, TypeError, BrokenPipeError) as error:
        sys.stderr.write(f"the worker stops: {error}\n")
        return 1
    return 0
