"""What is said to a worker and by it, however it is encoded.

Requests and responses of the worker protocol as values, the ways in which bytes can be no response,
and what an encoding is. The encodings themselves are worker_proto.py and worker_json.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class ProtocolRule(StrEnum):
    """Rules of the worker protocol that a worker can break, in the words reports use."""

    STDOUT_TEXT = "text on stdout"
    OVERSIZED = "oversized frame"
    TRUNCATED = "truncated frame"
    MALFORMED = "malformed response"
    UNEXPECTED_RESPONSE = "unexpected response"
    WRONG_REQUEST_ID = "wrong request_id"
    UNEXPECTED_CANCEL = "unexpected was_cancelled"


#: Fields of a WorkResponse in JSON, and what they are called here.
JSON_FIELDS = {
    "exitCode": "exit_code",
    "output": "output",
    "requestId": "request_id",
    "wasCancelled": "was_cancelled",
}


class FrameError(Exception):
    """Bytes from a worker that are no WorkResponse.

    Attributes:
        rule: what was broken.
        detail: the evidence, in words.
    """

    def __init__(self, rule: ProtocolRule, detail: str) -> None:
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


class ResponseDecoder(Protocol):
    """Turns a worker's stdout into responses."""

    def feed(self, data: bytes) -> list[Response]:
        """The responses that ``data`` completes.

        Raises:
            FrameError: at the first byte that can't belong to a response.
        """

    @property
    def pending(self) -> bytes:
        """What arrived of a response that is not complete yet."""

    @property
    def lacks(self) -> str:
        """What alone keeps the pending bytes from being a response, in words; "" when unknown."""


class Encoding(Protocol):
    """One encoding of the worker protocol."""

    name: str

    def encode(self, request: Request) -> bytes:
        """The request as it is written to the worker's stdin."""

    def encode_inputs(self, inputs: Iterable[tuple[str, bytes]]) -> bytes:
        """Pairs of path and digest bytes as they stand in a request; pieces may be joined."""

    def join_inputs(self, pieces: Iterable[bytes]) -> bytes:
        """Many results of `encode_inputs` as one."""

    def decoder(self, max_frame_bytes: int) -> ResponseDecoder:
        """A fresh decoder for one worker's stdout."""
