"""Classifying output that is not a response: printed text, a truncated frame, or unexpected bytes.

Printing to stdout is the most frequent violation of the protocol, so text is reported as such.
"""

from __future__ import annotations

import codecs
import re

from rpw_fixture.wire.worker.messages import JSON_FIELDS, FrameError, ProtocolRule

_SHOWN = 200
#: A binary frame hardly ever begins with this many printable characters.
_FEWEST_PRINTED = 4
#: Characters that text does not contain: control characters except line ends, tabs and terminal
#: colours; and bytes that are not UTF-8.
_UNPRINTED = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\ud800-\udfff]")
_UTF8 = codecs.getincrementaldecoder("utf-8")
_JSON_KEY = re.compile(rb'[ \t\r\n]*+\{[ \t\r\n]*+"([A-Za-z]*)')


def truncated(pending: bytes) -> FrameError:
    """Return the error for a response that is incomplete at the end of the stream or of the time."""
    if _is_text(pending) and not _is_json_response(pending):
        return FrameError(ProtocolRule.STDOUT_TEXT, shown(pending))
    return FrameError(
        ProtocolRule.TRUNCATED, f"only {len(pending)} bytes arrived: {shown(pending)}"
    )


def surplus(pending: bytes) -> FrameError:
    """Return the error for bytes on stdout without a request."""
    if _is_text(pending) and not _is_json_response(pending):
        return FrameError(ProtocolRule.STDOUT_TEXT, shown(pending))
    return FrameError(
        ProtocolRule.UNEXPECTED_RESPONSE, f"bytes after the response: {shown(pending)}"
    )


def not_a_response(data: bytes, rule: ProtocolRule, detail: str) -> FrameError:
    """Return the error for bytes that can't be a response: that for text, otherwise for ``rule``."""
    if _is_text(data):
        return FrameError(ProtocolRule.STDOUT_TEXT, shown(data))
    return FrameError(rule, f"{detail}: {shown(data)}")


def begins_with_text(data: bytes | bytearray) -> bool:
    """Return whether some bytes begin with several printable characters."""
    return _printed(data)[0] >= _FEWEST_PRINTED


def shown(data: bytes) -> str:
    """Return the beginning of some bytes in printable form."""
    return repr(data[:_SHOWN].decode(errors="backslashreplace")) + (
        "…" if len(data) > _SHOWN else ""
    )


def _is_text(data: bytes) -> bool:
    """Return whether the bytes look like printed text, perhaps with a valid response after it."""
    printed, length = _printed(data)
    return printed == length > 0 or printed >= _FEWEST_PRINTED


def _printed(data: bytes | bytearray) -> tuple[int, int]:
    """Return how many characters at the beginning are printable, and how many were inspected."""
    text = _UTF8("surrogateescape").decode(data[:_SHOWN])  # the last character may be cut in two
    other = _UNPRINTED.search(text)
    return (other.start() if other else len(text)), len(text)


def _is_json_response(data: bytes) -> bool:
    """Return whether the bytes look like the beginning of a WorkResponse in JSON."""
    begun = _JSON_KEY.match(data)
    return begun is not None and any(key.startswith(begun[1].decode()) for key in JSON_FIELDS)
