#!/usr/bin/env python3
"""A well-behaved worker: the one to copy.

The tool is a tiny "compiler". For every ``--in PATH`` it writes the text in upper case to ``--out
PATH``, after the optional ``--header TEXT`` and before a line with the digest of everything above
it. ``--fail MESSAGE`` is a compile error. ``--wait-for PATH`` stands for a long compilation that
ends when that file exists, so that a test decides how long a request takes.

What it shows: state that can't leak. Its cache is keyed by the content of an input and not by its
path, inputs are read anew for every request, an old output is gone before anything can fail, and
no message holds more than the action's own paths.

Files: good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH108, PTH110, PTH123 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True  # a __pycache__ beside the tool would be a write nobody declared

import hashlib
import os
import time

import rpw_worker
from rpw_worker import ToolError, WorkRequest, WorkResponse

_CACHE_ENTRIES = 256
_POLL_SECONDS = 0.005

_translations: dict[bytes, str] = {}


class Options:
    """The parsed arguments of one action."""

    def __init__(self, arguments: list[str]) -> None:
        self.inputs: list[str] = []
        self.output = self.header = self.failure = self.wait_for = ""
        words = iter(arguments)
        for word in words:
            self._take(word, next(words, None))
        if not self.output:
            raise ToolError("--out is missing")

    def _take(self, name: str, value: str | None) -> None:
        if value is None:
            raise ToolError(f"{name}: unknown option, or its value is missing")
        if name == "--in":
            self.inputs.append(value)
        elif name == "--out":
            self.output = value
        elif name == "--header":
            self.header = value
        elif name == "--fail":
            self.failure = value
        elif name == "--wait-for":
            self.wait_for = value
        else:
            raise ToolError(f"{name}: unknown option")


def compile_files(request: WorkRequest) -> WorkResponse:
    """Run the tool for one request; compile errors are ToolError."""
    options = Options(request.expanded_arguments())
    output = request.resolve(options.output)
    request.checkpoint()
    if os.path.lexists(output):
        os.unlink(output)  # stale, and perhaps a link to a file that others share
    wait(request, options.wait_for)
    if options.failure:
        raise ToolError(options.failure)
    parts = [options.header] if options.header else []
    parts += [translate(request, path) for path in options.inputs]
    write_output(request, options.output, "\n".join(parts) + "\n")
    return WorkResponse()


def translate(request: WorkRequest, path: str) -> str:
    """The upper-case text of an input, remembered under the digest of its content."""
    content = rpw_worker.read_file(request, path)
    digest = hashlib.sha256(content).digest()
    if request.verbosity > 0:
        print(f"{path}: {'known' if digest in _translations else 'new'} content")
    text = _translations.get(digest)
    if text is None:
        try:
            text = content.decode("utf-8").upper().rstrip("\n")
        except UnicodeDecodeError as error:
            raise ToolError(f"{path}: no UTF-8 text") from error
        if len(_translations) >= _CACHE_ENTRIES:
            _translations.clear()
        _translations[digest] = text
    return text


def write_output(request: WorkRequest, path: str, text: str) -> None:
    """Write the text and the line with its digest, unless the request was cancelled."""
    data = text.encode()
    data += f"sha256 {hashlib.sha256(data).hexdigest()}\n".encode()
    request.checkpoint()
    try:
        with open(request.resolve(path), "wb") as file:
            file.write(data)
    except OSError as error:
        raise ToolError(f"{path}: {error.strerror}") from error


def wait(request: WorkRequest, path: str) -> None:
    """Return when the file exists; at once for an empty path."""
    while path and not os.path.exists(request.resolve(path)):
        request.checkpoint()
        time.sleep(_POLL_SECONDS)


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))
