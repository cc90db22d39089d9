"""The standard streams of a command, any of which may be closed, full or without a reader."""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

from rpw_fixture.errors import EnvironmentLacksError
from rpw_fixture.support.printable import printable

_NAMES = ("stdin", "stdout", "stderr")


def open_closed() -> None:
    """Connect the standard streams that were closed when the program started to the null device.

    Otherwise the next files and sockets would get their descriptors, and C libraries write to these.
    """
    while (descriptor := os.open(os.devnull, os.O_RDWR)) < len(_NAMES):
        os.set_inheritable(descriptor, True)  # as standard streams are
    os.close(descriptor)
    for number, name in enumerate(_NAMES):
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", encoding="utf-8", closefd=False)  # noqa: SIM115 - it stays open
            setattr(sys, name, stream)


def write(text: str) -> None:
    """Write a text to stdout now.

    A reader that is gone is no error: the exit code still says what was found.

    Raises:
        EnvironmentLacksError: it can't be written, as on a full disk.
    """
    try:
        sys.stdout.write(_encodable(text))
        sys.stdout.flush()
    except BrokenPipeError:
        _silence()
    except OSError as error:
        _silence()
        raise EnvironmentLacksError(f"stdout: {error.strerror}") from None


def write_line(text: str = "") -> None:
    """Write a line to stdout, as `write` does."""
    write(f"{text}\n")


def write_error(text: str) -> None:
    """Write a text to stderr now, unless its reader is gone: the exit code says what matters."""
    with contextlib.suppress(OSError):
        sys.stderr.write(printable(text))
        sys.stderr.flush()


def _encodable(text: str) -> str:
    """Return the text with what the encoding of stdout lacks, or what is no text, as escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    return text.encode(encoding, "backslashreplace").decode(encoding)


def _silence() -> None:
    """Discard what stdout still buffers, or Python would fail at exit."""
    with Path(os.devnull).open("wb") as nothing:
        os.dup2(nothing.fileno(), sys.stdout.fileno())
