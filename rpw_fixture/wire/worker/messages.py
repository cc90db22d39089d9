"""Messages of the worker protocol, independent of their encoding.

Requests and responses as values, the rules that a worker can break, and the interface of an encoding.
The encodings themselves are in proto_encoding.py and json_encoding.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from rpw_fixture.wire.worker.protocol_names import WorkerProtocol


class ProtocolRule(StrEnum):
    """A rule of the worker protocol that a worker can break, in the words that reports use."""

    STDOUT_TEXT = "text on stdout"
    OVERSIZED = "oversized frame"
    TRUNCATED = "truncated frame"
    MALFORMED = "malformed response"
    UNEXPECTED_RESPONSE = "unexpected response"
    WRONG_REQUEST_ID = "wrong request_id"
    UNEXPECTED_CANCEL = "unexpected was_cancelled"


#: Fields of a WorkResponse in JSON, and their names in `Response`.
JSON_FIELDS = {
    "exitCode": "exit_code",
    "output": "output",
    "requestId": "request_id",
    "wasCancelled": "was_cancelled",
}


class FrameError(Exception):
    """Bytes from a worker that break the protocol.

    Attributes:
        rule: the rule that was broken.
        detail: the evidence, as a text.
    """

    def __init__(self, rule: ProtocolRule, detail: str) -> None:
        super().__init__(f"{rule}: {detail}")
        self.rule = rule
        self.detail = detail


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """One WorkResponse.

    ``ignored`` are names and values of fields that no WorkResponse in JSON has; they are no part of it.
    """

    exit_code: int = 0
    output: str = ""
    request_id: int = 0
    was_cancelled: bool = False
    ignored: tuple[tuple[str, str], ...] = field(default=(), compare=False)


class Request(NamedTuple):
    """One WorkRequest; ``inputs`` is encoded already (see `Encoding.encode_inputs`)."""

    arguments: tuple[str, ...] = ()
    inputs: bytes = b""
    request_id: int = 0
    cancel: bool = False
    verbosity: int = 0
    sandbox_dir: str = ""


class ResponseDecoder(Protocol):
    """A decoder from a worker's stdout to responses."""

    def feed(self, data: bytes) -> list[Response]:
        """Return the responses that ``data`` completes.

        Raises:
            FrameError: at the first byte that can't belong to a response.
        """

    @property
    def pending(self) -> bytes:
        """Bytes of a response that is incomplete so far."""

    @property
    def lacks(self) -> str:
        """The only thing that the pending bytes lack to be a response; "" when unknown."""

    @property
    def unterminated(self) -> int:
        """Number of JSON responses so far that no newline followed."""


class Encoding(Protocol):
    """One encoding of the worker protocol."""

    name: WorkerProtocol

    def encode(self, request: Request) -> bytes:
        """Return the bytes of a request for the worker's stdin."""

    def encode_inputs(self, inputs: Iterable[tuple[str, bytes]]) -> bytes:
        """Return the encoding of pairs of path and digest bytes; pieces may be joined."""

    def join_inputs(self, pieces: Iterable[bytes]) -> bytes:
        """Return several results of `encode_inputs` as one."""

    def decoder(self, max_frame_bytes: int) -> ResponseDecoder:
        """Return a new decoder for one worker's stdout."""
