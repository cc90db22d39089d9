#!/usr/bin/env python3
"""A worker that takes a file for unchanged when path, size and time are (rules_kotlin#531).

Shows RPW203. Files: stale_input.py, good.py, rpw_worker.py
"""

# ruff: noqa: E402, PTH116 - imports follow the bytecode switch; pathlib is slow
from __future__ import annotations

import sys

sys.dont_write_bytecode = True

import os

import good
import rpw_worker
from rpw_worker import WorkRequest

cache: dict[tuple[str, int, int], bytes] = {}
read_file = rpw_worker.read_file


def read_cached(request: WorkRequest, path: str) -> bytes:
    try:
        found = os.stat(request.resolve(path))
    except OSError:
        return read_file(request, path)
    key = (path, found.st_size, found.st_mtime_ns)
    if key not in cache:
        cache[key] = read_file(request, path)
    return cache[key]


rpw_worker.read_file = read_cached


if __name__ == "__main__":
    sys.exit(rpw_worker.main(good.compile_files))
