"""What bytes are that are no response: text that was printed, half a frame, or more than was asked for.

A worker that prints on stdout is the most frequent breach of the protocol, so text is told apart from
all else.
"""

from __future__ import annotations

import codecs
import re

from rpw_fixture.wire.worker.messages import JSON_FIELDS, FrameError, ProtocolRule

_SHOWN = 200
#: So many printable characters before anything else are no accident of a binary frame.
_FEWEST_PRINTED = 4
#: What nobody prints: control characters, but for line ends, tabs and what colours a terminal; and
#: bytes that are no UTF-8.
_UNPRINTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]")
_UTF8 = codecs.getincrementaldecoder("utf-8")
_JSON_KEY = re.compile(rb'[ \t\r\n]*+\{[ \t\r\n]*+"([A-Za-z]*)')


def truncated(pending: bytes) -> FrameError:
    """The error for a stream that ended, or a time that ran out, amid a response."""
    if _is_text(pending) and not _is_json_response(pending):
        return FrameError(ProtocolRule.STDOUT_TEXT, shown(pending))
    return FrameError(ProtocolRule.TRUNCATED, f"only {len(pending)} bytes came: {shown(pending)}")


def surplus(pending: bytes) -> FrameError:
    """The error for bytes on stdout that no request asked for."""
    if _is_text(pending) and not _is_json_response(pending):
        return FrameError(ProtocolRule.STDOUT_TEXT, shown(pending))
    return FrameError(
        ProtocolRule.UNEXPECTED_RESPONSE, f"bytes after the response: {shown(pending)}"
    )


def not_a_response(data: bytes, rule: ProtocolRule, detail: str) -> FrameError:
    """The error for bytes that can't be a response: text if they read so, else ``rule``."""
    if _is_text(data):
        return FrameError(ProtocolRule.STDOUT_TEXT, shown(data))
    return FrameError(rule, f"{detail}: {shown(data)}")


def begins_with_text(data: bytes | bytearray) -> bool:
    """Return whether some bytes begin with several printable characters."""
    return _printed(data)[0] >= _FEWEST_PRINTED


def shown(data: bytes) -> str:
    """The beginning of some bytes, as it can be printed."""
    return repr(data[:_SHOWN].decode(errors="backslashreplace")) + (
        "…" if len(data) > _SHOWN else ""
    )


def _is_text(data: bytes) -> bool:
    """Whether it reads like something printed, perhaps with a proper response behind it."""
    printed, length = _printed(data)
    return printed == length > 0 or printed >= _FEWEST_PRINTED


def _printed(data: bytes | bytearray) -> tuple[int, int]:
    """Return how many characters at the beginning can be printed, and how many were looked at."""
    text = _UTF8("surrogateescape").decode(data[:_SHOWN])  # the last character may be cut in two
    other = _UNPRINTED.search(text)
    return (other.start() if other else len(text)), len(text)


def _is_json_response(data: bytes) -> bool:
    """Whether it reads like the beginning of a WorkResponse in JSON."""
    begun = _JSON_KEY.match(data)
    return begun is not None and any(key.startswith(begun[1].decode()) for key in JSON_FIELDS)
