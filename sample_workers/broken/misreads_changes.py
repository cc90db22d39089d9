#!/usr/bin/env python3
"""A tool that takes changed inputs for known ones, in one of four ways.

``--by=inode``: a file is known by inode, size and time. ``--by=prefix``: by the first 8 digits of its
digest. ``--by=absence``: a file that was missing once stays missing. ``--by=place``: where a name was
found first, in the folders of ``--header FIRST:SECOND``, it is read for ever.

Shows RPW203. Files: misreads_changes.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH110, PTH116, PTH118 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import ToolError, WorkRequest, WorkResponse

KIND = rpw_worker.take_value(sys.argv, "--by", "inode")

known: dict[object, bytes] = {}
missing: set[str] = set()
places: dict[str, str] = {}
folders: list[str] = []
read_file = rpw_worker.read_file


def identity(request: WorkRequest, path: str) -> object:
    """The name under which a content is kept; empty if it is not."""
    if path.endswith(".params"):
        return ""
    if KIND == "prefix":
        return request.inputs.get(path, b"")[:8]
    found = os.stat(request.resolve(path))
    return (found.st_ino, found.st_size, found.st_mtime_ns) if KIND == "inode" else ""


def place(path: str) -> str:
    if path not in places:
        found = [os.path.join(each, path) for each in folders]
        found = [each for each in found if os.path.exists(each)]
        if not found:
            return path
        places[path] = found[0]
    return places[path]


def read_or_remember(request: WorkRequest, path: str) -> bytes:
    if KIND == "place":
        path = place(path)
    if path in missing or not os.path.exists(request.resolve(path)):
        if KIND == "absence":
            missing.add(path)
        raise ToolError(f"{path}: no such file")
    key = identity(request, path)
    content = known[key] if key in known else read_file(request, path)
    if key:
        known[key] = content
    return content


def compile_files(request: WorkRequest) -> WorkResponse:
    folders[:] = [
        each for each in good.Options(request.expanded_arguments()).header.split(":") if "/" in each
    ]
    return good.compile_files(request)


rpw_worker.read_file = read_or_remember


if __name__ == "__main__":
    sys.exit(rpw_worker.main(compile_files))
